package api

import (
	"fmt"
	"maps"
	"slices"
)

// engine answers GET /v1/engine: what an acknowledgement rests on.
func (h *handlers) engine(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	settings, err := h.DB.Settings(x.req.Context())
	if err != nil {
		return fmt.Errorf("reading the engine's settings: %w", err)
	}
	x.out = appendString(append(x.out, `{"name":`...), h.DB.EngineName())
	x.out = appendString(append(x.out, `,"version":`...), h.Version)
	x.out = append(x.out, `,"settings":{`...)
	for i, name := range slices.Sorted(maps.Keys(settings)) {
		x.out = appendString(appendComma(x.out, i), name)
		x.out = appendString(append(x.out, ':'), settings[name])
	}
	x.out = append(x.out, "}}"...)
	return x.send(200)
}

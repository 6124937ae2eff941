package api

import _ "embed"

// openAPI describes every route; tests hold the two against each other, and
// every answer against its schema.
//
//go:embed openapi.yaml
var openAPI []byte

var yamlType = []string{"application/yaml"}

// document answers GET /openapi.yaml.
func (h *handlers) document(x *exchange) error {
	x.out = append(x.out, openAPI...)
	return x.sendAs(200, yamlType)
}

package api

import (
	"strings"

	"github.com/labstack/echo/v4"
)

// route is one operation. Paths are written as in openapi.yaml.
type route struct {
	method, path string
	open         bool // needs no API key
	serve        func(*handlers, *exchange) error
}

// routes is the whole surface.
var routes = []route{
	{"POST", "/v1/ledgers", false, (*handlers).openLedger},
	{"GET", "/v1/ledgers", false, (*handlers).listLedgers},
	{"GET", "/v1/ledgers/{ledger}", false, (*handlers).oneLedger},

	{"POST", "/v1/ledgers/{ledger}/accounts", false, (*handlers).openAccount},
	{"GET", "/v1/ledgers/{ledger}/accounts", false, (*handlers).listAccounts},
	{"POST", "/v1/ledgers/{ledger}/accounts/batch", false, (*handlers).openAccounts},
	{"GET", "/v1/ledgers/{ledger}/accounts/{account}", false, (*handlers).oneAccount},
	{"PATCH", "/v1/ledgers/{ledger}/accounts/{account}", false, (*handlers).changeAccount},
	{"GET", "/v1/ledgers/{ledger}/accounts/{account}/balance", false, (*handlers).balance},
	{"GET", "/v1/ledgers/{ledger}/accounts/{account}/postings", false, (*handlers).listPostings},

	{"POST", "/v1/ledgers/{ledger}/transfers", false, (*handlers).postTransfer},
	{"GET", "/v1/ledgers/{ledger}/transfers", false, (*handlers).listTransfers},
	{"GET", "/v1/ledgers/{ledger}/transfers/{id}", false, (*handlers).oneTransfer},

	{"GET", "/v1/ledgers/{ledger}/entries", false, (*handlers).listEntries},
	{"GET", "/v1/ledgers/{ledger}/entries/{seq}", false, (*handlers).oneEntry},

	{"GET", "/v1/engine", false, (*handlers).engine},
	{"GET", "/metrics", false, (*handlers).showMetrics},
	{"GET", "/healthz", true, (*handlers).health},
	{"GET", "/readyz", true, (*handlers).ready},
	{"GET", "/openapi.yaml", true, (*handlers).document},
}

// pathParams turns {ledger} into :ledger, as Echo has it.
var pathParams = strings.NewReplacer("{", ":", "}", "")

func (h *handlers) register(e *echo.Echo) {
	for i := range routes {
		r := &routes[i]
		e.Add(r.method, pathParams.Replace(r.path), h.serve(r))
	}
}

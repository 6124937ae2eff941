package api

import (
	"strings"

	"github.com/labstack/echo/v4"

	"tallystick/ledger/store"
)

// route is one operation. Paths are written as in openapi.yaml.
type route struct {
	method, path string
	needs        store.Scopes // of the API key
	serve        func(*handlers, *exchange) error
}

// routes is the whole surface.
var routes = []route{
	{"POST", "/v1/ledgers", scopeAdmin, (*handlers).openLedger},
	{"GET", "/v1/ledgers", scopeRead, (*handlers).listLedgers},
	{"GET", "/v1/ledgers/{ledger}", scopeRead, (*handlers).oneLedger},

	{"POST", "/v1/ledgers/{ledger}/accounts", scopePost, (*handlers).openAccount},
	{"GET", "/v1/ledgers/{ledger}/accounts", scopeRead, (*handlers).listAccounts},
	{"POST", "/v1/ledgers/{ledger}/accounts/batch", scopePost, (*handlers).openAccounts},
	{"GET", "/v1/ledgers/{ledger}/accounts/{account}", scopeRead, (*handlers).oneAccount},
	{"PATCH", "/v1/ledgers/{ledger}/accounts/{account}", scopeApprove, (*handlers).changeAccount},
	{"GET", "/v1/ledgers/{ledger}/accounts/{account}/balance", scopeRead, (*handlers).balance},
	{"GET", "/v1/ledgers/{ledger}/accounts/{account}/postings", scopeRead, (*handlers).listPostings},
	{"GET", "/v1/ledgers/{ledger}/accounts/{account}/statement", scopeRead, (*handlers).statement},
	{"POST", "/v1/ledgers/{ledger}/accounts/{account}/erase", scopeAdmin, (*handlers).eraseAccountName},
	{"GET", "/v1/ledgers/{ledger}/balances", scopeRead, (*handlers).listBalances},

	{"GET", "/v1/ledgers/{ledger}/accounts/{account}/balance-proof", scopeRead, (*handlers).balanceProof},
	{"POST", "/v1/ledgers/{ledger}/balance-commitments", scopeApprove, (*handlers).commitBalances},
	{"GET", "/v1/ledgers/{ledger}/balance-commitments", scopeRead, (*handlers).listCommitments},

	{"POST", "/v1/ledgers/{ledger}/transfers", scopePost, (*handlers).postTransfer},
	{"GET", "/v1/ledgers/{ledger}/transfers", scopeRead, (*handlers).listTransfers},
	{"POST", "/v1/ledgers/{ledger}/transfers/batch", scopePost, (*handlers).postTransfers},
	{"GET", "/v1/ledgers/{ledger}/transfers/{id}", scopeRead, (*handlers).oneTransfer},
	{"POST", "/v1/ledgers/{ledger}/transfers/{id}/capture", scopePost, (*handlers).captureHold},
	{"POST", "/v1/ledgers/{ledger}/transfers/{id}/release", scopePost, (*handlers).releaseHold},
	{"POST", "/v1/ledgers/{ledger}/transfers/{id}/reverse", scopePost, (*handlers).reverseTransfer},

	{"POST", "/v1/ledgers/{ledger}/currencies", scopePost, (*handlers).defineCurrency},
	{"GET", "/v1/ledgers/{ledger}/currencies", scopeRead, (*handlers).listCurrencies},
	{"POST", "/v1/ledgers/{ledger}/periods/close", scopeApprove, (*handlers).closePeriod},
	{"POST", "/v1/ledgers/{ledger}/periods/reopen", scopeApprove, (*handlers).reopenPeriod},
	{"POST", "/v1/ledgers/{ledger}/policies", scopeApprove, (*handlers).adoptPolicy},
	{"GET", "/v1/ledgers/{ledger}/periods", scopeRead, (*handlers).listPeriods},
	{"POST", "/v1/ledgers/{ledger}/keys", scopeAdmin, (*handlers).changeKey},
	{"GET", "/v1/ledgers/{ledger}/keys", scopeRead, (*handlers).listKeys},

	{"POST", "/v1/ledgers/{ledger}/bank-statements", scopePost, (*handlers).takeBankFile},
	{"GET", "/v1/ledgers/{ledger}/bank-statements", scopeRead, (*handlers).listBankStatements},
	{"GET", "/v1/ledgers/{ledger}/bank-statements/{statement}", scopeRead, (*handlers).oneBankStatement},
	{"GET", "/v1/ledgers/{ledger}/bank-files", scopeRead, (*handlers).listBankFiles},
	{"GET", "/v1/ledgers/{ledger}/breaks", scopeRead, (*handlers).listBreaks},
	{"GET", "/v1/ledgers/{ledger}/breaks/{break}", scopeRead, (*handlers).oneBreak},
	{"POST", "/v1/ledgers/{ledger}/decisions", scopeApprove, (*handlers).decide},
	{"GET", "/v1/ledgers/{ledger}/decisions", scopeRead, (*handlers).listDecisions},

	{"GET", "/v1/ledgers/{ledger}/reports", scopeRead, (*handlers).listReports},
	{"GET", "/v1/ledgers/{ledger}/reports/{name}", scopeRead, (*handlers).oneReport},
	{"GET", "/v1/ledgers/{ledger}/risk", scopeRead, (*handlers).riskReport},

	{"GET", "/v1/ledgers/{ledger}/entries", scopeRead, (*handlers).listEntries},
	{"GET", "/v1/ledgers/{ledger}/events", scopeRead, (*handlers).followEntries},
	{"GET", "/v1/ledgers/{ledger}/entries/{seq}", scopeRead, (*handlers).oneEntry},
	{"POST", "/v1/ledgers/{ledger}/entries/{seq}/erase", scopeAdmin, (*handlers).eraseEntry},

	{"GET", "/v1/ledgers/{ledger}/checkpoint", scopeRead, (*handlers).checkpoint},
	{"GET", "/v1/ledgers/{ledger}/tile/{tile}", scopeRead, (*handlers).tile},
	{"GET", "/v1/ledgers/{ledger}/tile/entries/{bundle}", scopeRead, (*handlers).bundle},
	{"GET", "/v1/ledgers/{ledger}/proof/entry/{seq}", scopeRead, (*handlers).entryProof},
	{"GET", "/v1/ledgers/{ledger}/proof/consistency", scopeRead, (*handlers).consistencyProof},
	{"GET", "/v1/super-log/checkpoint", scopeRead, (*handlers).superCheckpoint},
	{"GET", "/v1/super-log/tile/{tile}", scopeRead, (*handlers).superTile},
	{"GET", "/v1/super-log/tile/entries/{bundle}", scopeRead, (*handlers).superBundle},

	{"POST", "/v1/ledgers/{ledger}/runs", scopeApprove, (*handlers).startRun},
	{"GET", "/v1/ledgers/{ledger}/runs", scopeRead, (*handlers).listRuns},
	{"GET", "/v1/ledgers/{ledger}/runs/{id}", scopeRead, (*handlers).oneRun},
	{"POST", "/v1/ledgers/{ledger}/runs/{id}/sign-off", scopeApprove, (*handlers).signOff},

	{"GET", "/v1/engine", scopeRead, (*handlers).engine},
	{"GET", "/metrics", scopeRead, (*handlers).showMetrics},
	{"GET", "/healthz", anyone, (*handlers).health},
	{"GET", "/readyz", anyone, (*handlers).ready},
	{"GET", "/openapi.yaml", anyone, (*handlers).document},
	{"GET", "/docs", anyone, (*handlers).docs},
}

// pathParams turns {ledger} into :ledger, as Echo has it, and the parameters that
// take the rest of a path, slashes included, into *.
var pathParams = strings.NewReplacer("{tile}", "*", "{bundle}", "*", "{", ":", "}", "")

func (h *handlers) register(e *echo.Echo) {
	for i := range routes {
		r := &routes[i]
		e.Add(r.method, pathParams.Replace(r.path), h.serve(r))
	}
}

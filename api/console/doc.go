// Package console is the pages for people: auditors and finance teams look at ledgers, accounts, entries, runs, breaks and
// reports in a browser, without a program of their own.
//
//	browser ──cookie──▶ session ──API key──▶ the API, in this process ──JSON──▶ page
//
// It is a client of the API like any other: everything that a page shows was asked of it, with the key that the reader logged in
// with, so that rights, bounds and refusals are those of the API, and no figure is computed here. It changes nothing. A page has no
// scripts and loads nothing from elsewhere; the policy that it comes with lets a browser do neither.
//
// Keys are kept in memory for as long as a session lasts, and are nowhere else; the cookie is random. Another server of the same
// ledgers, or this one started anew, asks to log in again.
package console

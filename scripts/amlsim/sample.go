package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/shopspring/decimal"
)

// equityAccount is where the opening balances come from; see map.yaml.
const equityAccount = "equity:opening"

// sample is what the two files say. Account i belongs to node i.
type sample struct {
	opening   []decimal.Decimal
	total     decimal.Decimal // of the opening balances
	transfers []transfer
	toSelf    int // transfers from an account to itself
	closing   []decimal.Decimal
}

// transfer is one row of transactions.csv.
type transfer struct {
	from, to int
	amount   string
}

// customer returns the account code of a node.
func customer(node int) string { return "customers:" + strconv.Itoa(node) }

// readSample reads both files and computes the closing balances.
func readSample(dir string) (*sample, error) {
	s := &sample{}
	err := readRows(filepath.Join(dir, "nodes.csv"), func(row []string) error {
		if node, err := strconv.Atoi(row[0]); err != nil || node != len(s.opening) {
			return fmt.Errorf("node %q where %d was due", row[0], len(s.opening))
		}
		balance, err := decimal.NewFromString(row[2])
		s.opening = append(s.opening, balance)
		s.total = s.total.Add(balance)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.closing = append(s.closing, s.opening...)
	err = readRows(filepath.Join(dir, "transactions.csv"), s.addTransfer)
	return s, err
}

func (s *sample) addTransfer(row []string) error {
	from, err := strconv.Atoi(row[0])
	if err != nil {
		return err
	}
	to, err := strconv.Atoi(row[1])
	if err != nil {
		return err
	}
	amount, err := decimal.NewFromString(row[2])
	if err != nil {
		return err
	}
	if from < 0 || to < 0 || from >= len(s.closing) || to >= len(s.closing) {
		return fmt.Errorf("nodes %d and %d: there are %d", from, to, len(s.closing))
	}
	s.transfers = append(s.transfers, transfer{from, to, amount.StringFixed(2)})
	if from == to {
		s.toSelf++
		return nil
	}
	s.closing[from] = s.closing[from].Sub(amount)
	s.closing[to] = s.closing[to].Add(amount)
	return nil
}

// readRows hands the rows of a CSV file to visit, without its heading.
func readRows(path string, visit func(row []string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the sample: %w", err)
	}
	defer f.Close() // only read
	rows := csv.NewReader(f)
	rows.FieldsPerRecord = 4
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return nil
		}
		line, _ := rows.FieldPos(0)
		if err == nil && line > 1 {
			err = visit(row)
		}
		if err != nil {
			return fmt.Errorf("reading %s line %d: %w", path, line, err)
		}
	}
}

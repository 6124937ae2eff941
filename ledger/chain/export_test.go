package chain

import "fmt"

// DetailRows lists the registered details of kind k: name, syntax, required.
func DetailRows(k Kind) []string {
	var list []string
	for _, rule := range shapes[k].details {
		list = append(list, fmt.Sprintf("%s %s %t", rule.name, rule.syntax.name, rule.required))
	}
	return list
}

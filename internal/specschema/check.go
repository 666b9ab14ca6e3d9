package specschema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// Documents that the specification has a schema for.
const (
	ConfigSchema   = "config-schema.json"
	FeaturesSchema = "features-schema.json"
)

// Fields lists all places of the documents that a schema describes, sorted.
func Fields(schema string) ([]Field, error) {
	w, root, err := open(schema)
	if err != nil {
		return nil, err
	}
	if err := w.walk("", schema, root); err != nil {
		return nil, err
	}
	var list []Field
	for _, f := range w.found {
		list = append(list, *f)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Pointer < list[j].Pointer })
	return list, nil
}

// open reads a schema, to be walked through.
func open(schema string) (w *walker, root map[string]any, err error) {
	dir, err := Dir()
	if err != nil {
		return nil, nil, err
	}
	w = &walker{dir: dir, files: map[string]map[string]any{}, found: map[string]*Field{}}
	root, err = w.file(schema)
	return w, root, err
}

// Check returns what is wrong with a document by one of the specification's schemas, each
// with its place. It knows those words of JSON Schema (draft 4) that the specification's
// files use, and reports any other: nothing is passed over.
func Check(schema string, document []byte) ([]string, error) {
	w, root, err := open(schema)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber() // 64 bits are more than a float64 holds
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	c := &check{walker: w}
	if err := c.node("", schema, root, value); err != nil {
		return nil, err
	}
	return c.faults, nil
}

type check struct {
	*walker
	faults []string
}

func (c *check) bad(at, format string, args ...any) {
	if at == "" {
		at = "/"
	}
	c.faults = append(c.faults, at+": "+fmt.Sprintf(format, args...))
}

// node holds a value to one node of the schema.
func (c *check) node(at, file string, node map[string]any, value any) error {
	for _, word := range sortedKeys(node) {
		if err := c.word(at, file, node, word, value); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// word holds a value to one word of a node. A word about arrays, objects, strings or
// numbers says nothing about values of other types.
func (c *check) word(at, file string, node map[string]any, word string, value any) error {
	object, isObject := value.(map[string]any)
	array, isArray := value.([]any)
	text, isText := value.(string)
	number, isNumber := value.(json.Number)
	switch said := node[word]; word {
	case "description", "id", "$schema":
	case "$ref":
		in, to, err := c.resolve(file, fmt.Sprint(said))
		if err != nil {
			return err
		}
		return c.node(at, in, to, value)
	case "type":
		if !hasType(said, value) {
			c.bad(at, "is not of the type %v", said)
		}
	case "enum":
		if list, ok := said.([]any); !ok || !slices.Contains(list, value) {
			c.bad(at, "%v is none of %v", value, said)
		}
	case "pattern":
		if isText && !regexp.MustCompile(fmt.Sprint(said)).MatchString(text) {
			c.bad(at, "%q does not match %v", text, said)
		}
	case "minimum", "maximum":
		if isNumber && !within(word, number, said) {
			c.bad(at, "%v is beyond the %s %v", number, word, said)
		}
	case "minItems":
		if limit, ok := said.(float64); isArray && (!ok || len(array) < int(limit)) {
			c.bad(at, "has %d items, should have %v", len(array), said)
		}
	case "required":
		list, _ := said.([]any)
		for _, name := range list {
			if _, there := object[fmt.Sprint(name)]; isObject && !there {
				c.bad(at, "%v is missing", name)
			}
		}
	case "items":
		for i, v := range array {
			n, one := said.(map[string]any)
			if list, ok := said.([]any); ok && i < len(list) { // a node for each place
				n, one = list[i].(map[string]any)
			} else if ok {
				continue
			}
			if !one {
				return fmt.Errorf("%s: items: %v is no schema", at, said)
			}
			if err := c.node(fmt.Sprintf("%s/%d", at, i), file, n, v); err != nil {
				return err
			}
		}
	case "properties":
		for _, name := range sortedKeys(object) {
			if n, ok := said.(map[string]any)[name].(map[string]any); ok {
				if err := c.node(at+"/"+name, file, n, object[name]); err != nil {
					return err
				}
			}
		}
	case "patternProperties":
		for pattern, n := range said.(map[string]any) {
			for _, name := range sortedKeys(object) {
				if regexp.MustCompile(pattern).MatchString(name) {
					if err := c.node(at+"/"+name, file, n.(map[string]any), object[name]); err != nil {
						return err
					}
				}
			}
		}
	case "additionalProperties":
		n, ok := said.(map[string]any)
		if !ok {
			return fmt.Errorf("additionalProperties: %v is no schema", said)
		}
		named, _ := node["properties"].(map[string]any)
		for _, name := range sortedKeys(object) {
			if _, known := named[name]; !known {
				if err := c.node(at+"/"+name, file, n, object[name]); err != nil {
					return err
				}
			}
		}
	case "allOf":
		for _, n := range said.([]any) {
			if err := c.node(at, file, n.(map[string]any), value); err != nil {
				return err
			}
		}
	case "anyOf", "oneOf":
		good := 0
		for _, n := range said.([]any) {
			one := &check{walker: c.walker}
			if err := one.node(at, file, n.(map[string]any), value); err != nil {
				return err
			}
			if len(one.faults) == 0 {
				good++
			}
		}
		if good == 0 || good > 1 && word == "oneOf" {
			c.bad(at, "fits %d schemas of its %s", good, word)
		}
	case "not":
		one := &check{walker: c.walker}
		if err := one.node(at, file, said.(map[string]any), value); err != nil {
			return err
		}
		if len(one.faults) == 0 {
			c.bad(at, "fits what it must not")
		}
	default:
		return fmt.Errorf("%s: the word %s is not known here", at, word)
	}
	return nil
}

// hasType says whether a value is of a type of JSON Schema, or of one of several.
func hasType(said, value any) bool {
	if list, ok := said.([]any); ok {
		return slices.ContainsFunc(list, func(t any) bool { return hasType(t, value) })
	}
	switch value := value.(type) {
	case nil:
		return said == "null"
	case bool:
		return said == "boolean"
	case string:
		return said == "string"
	case []any:
		return said == "array"
	case map[string]any:
		return said == "object"
	case json.Number:
		return said == "number" || said == "integer" && !strings.ContainsAny(value.String(), ".eE")
	}
	return false
}

// within compares a number with its bound, which the schema's decoder had as a float64:
// near 2^64 that is off by as much as the number may be.
func within(word string, number json.Number, bound any) bool {
	n, ok := new(big.Float).SetString(number.String())
	b, isNumber := bound.(float64)
	if !ok || !isNumber {
		return false
	}
	if word == "minimum" {
		return n.Cmp(big.NewFloat(b)) >= 0
	}
	return n.Cmp(big.NewFloat(b)) <= 0
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"minidump/internal/scratch"
	"minidump/stream"
)

// schemaOf returns the JSON schema (draft 2020-12) of a t encoded by package encoding/json.
func schemaOf(t reflect.Type, title string) []byte {
	defs := map[string]any{}
	root := typeSchema(t, defs).(map[string]any)
	schema := map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title,
		"$ref": root["$ref"], "$defs": defs}
	b, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(b, '\n')
}

func typeSchema(t reflect.Type, defs map[string]any) any {
	switch t {
	case reflect.TypeFor[hex]():
		return map[string]any{"type": "string", "pattern": "^0x[0-9a-f]+$"}
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return true
	case reflect.TypeFor[registers]():
		return map[string]any{"type": "object", "additionalProperties": typeSchema(reflect.TypeFor[hex](), defs)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem(), defs)
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": typeSchema(t.Elem(), defs)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": typeSchema(t.Elem(), defs)}
	case reflect.Struct:
		if _, ok := defs[t.Name()]; !ok {
			defs[t.Name()] = nil // ends the recursion of a type that contains itself
			defs[t.Name()] = structSchema(t, defs)
		}
		return map[string]any{"$ref": "#/$defs/" + t.Name()}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	}
	panic(fmt.Sprint("no schema for ", t))
}

func structSchema(t reflect.Type, defs map[string]any) any {
	properties := map[string]any{}
	required := []string{}
	for i := range t.NumField() {
		name, options, tagged := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		properties[name] = typeSchema(t.Field(i).Type, defs)
		if !tagged || options != "omitempty" {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// schemas are the files in docs and the types that they describe.
var schemas = map[string]struct {
	t     reflect.Type
	title string
}{
	"show.schema.json":   {reflect.TypeFor[dumpInfo](), "What minidump show --json prints"},
	"list.schema.json":   {reflect.TypeFor[jsonListed](), "A line of what minidump list --json prints"},
	"result.schema.json": {reflect.TypeFor[jsonResult](), "What minidump dump, core, serve and run print with --json"},
}

// TestSchemas checks that the schemas match the types. With UPDATE_SCHEMAS=1 it writes them.
func TestSchemas(t *testing.T) {
	for name, s := range schemas {
		path := filepath.Join("..", "..", "docs", name)
		want := schemaOf(s.t, s.title)
		if os.Getenv("UPDATE_SCHEMAS") != "" {
			if err := os.WriteFile(path, want, 0644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not that of %v (%v): UPDATE_SCHEMAS=1 go test -run TestSchemas writes it", path, s.t, err)
		}
	}
}

// validator validates JSON by the JSON Schema keywords that the schemas use.
type validator struct {
	root     map[string]any
	problems []string
}

// validate returns the problems of document under a schema file in docs.
func validate(t testing.TB, name string, document []byte) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	var v validator
	if err := json.Unmarshal(b, &v.root); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return []string{err.Error()}
	}
	v.check("", value, v.root)
	return v.problems
}

func (v *validator) fail(at, format string, args ...any) {
	v.problems = append(v.problems, at+": "+fmt.Sprintf(format, args...))
}

func (v *validator) check(at string, value, schema any) {
	if schema == true {
		return
	}
	s := schema.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		v.check(at, value, v.root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")])
		return
	}
	switch s["type"] {
	case "string":
		v.checkString(at, value, s)
	case "integer":
		n, ok := value.(json.Number)
		if !ok || !regexp.MustCompile(`^-?[0-9]+$`).MatchString(n.String()) {
			v.fail(at, "%v is no integer", value)
		} else if s["minimum"] != nil && n.String()[0] == '-' {
			v.fail(at, "%v is negative", n)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			v.fail(at, "%v is no boolean", value)
		}
	case "array":
		list, ok := value.([]any)
		if !ok {
			v.fail(at, "%v is no array", value)
		}
		for i := range list {
			v.check(fmt.Sprintf("%s/%d", at, i), list[i], s["items"])
		}
	case "object":
		v.checkObject(at, value, s)
	default:
		v.fail(at, "schema of type %v", s["type"])
	}
}

func (v *validator) checkString(at string, value any, s map[string]any) {
	text, ok := value.(string)
	if !ok {
		v.fail(at, "%v is no string", value)
	}
	if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(text) {
		v.fail(at, "%q does not match %s", text, pattern)
	}
	if s["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			v.fail(at, "%v", err)
		}
	}
}

func (v *validator) checkObject(at string, value any, s map[string]any) {
	object, ok := value.(map[string]any)
	if !ok {
		v.fail(at, "%v is no object", value)
	}
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := object[name.(string)]; !ok {
			v.fail(at, "no %v", name)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for name, x := range object {
		switch more := s["additionalProperties"]; {
		case properties[name] != nil:
			v.check(at+"/"+name, x, properties[name])
		case more == false:
			v.fail(at, "%q is not in the schema", name)
		default:
			v.check(at+"/"+name, x, more)
		}
	}
}

// TestShowSchema checks that real output is valid under the schema, and that the validator finds errors.
func TestShowSchema(t *testing.T) {
	dump := handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, stream.MD_OS_LINUX),
		threadWith(stream.Thread{ThreadID: 7}, amd64Context(0x1010, 2, 3)),
		exception(stream.Exception{ThreadID: 7, Code: 11, Flags: 1, NumberParameters: 2}),
		module(stream.Module{BaseOfImage: 0x1000, SizeOfImage: 0x8000}, "/bin/x"), memoryAt(0x1010, []byte{0x0f, 0x0b}),
		text(stream.LinuxCmdLine, "a\x00b\x00"), text(stream.LinuxAuxv, strings.Repeat("\x01", 40)),
		text(stream.MozSoftErrors, `[{"InitErrors": ["A"]}]`))
	path := filepath.Join(scratch.Dir(t), "x.dmp")
	if err := os.WriteFile(path, dump, 0600); err != nil {
		t.Fatal(err)
	}
	o := run(t, filepath.Dir(path), "show", "--json", path)
	o.want(t, 0, "")
	if problems := validate(t, "show.schema.json", []byte(o.out)); len(problems) > 0 {
		t.Errorf("%q", problems)
	}
	for from, to := range map[string]string{`"id": 7`: `"id": "7"`, `"id": 7,`: ``, `"base": "0x`: `"base": "`,
		`"created": "2023`: `"created": "y`, `"threads": [`: `"thread": [`, `"size": 32768`: `"size": -1`,
		`"problems": [`: `"more": 1, "problems": [`, `"parameters": [`: `"parameters": [7, `} {
		if broken := strings.Replace(o.out, from, to, 1); broken != o.out && len(validate(t, "show.schema.json", []byte(broken))) == 0 {
			t.Errorf("%s for %s is valid", to, from)
		} else if broken == o.out {
			t.Errorf("no %s in\n%s", from, o.out)
		}
	}
}

package mapreduce

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// The formats of a keyed run's output files. Each pair is one line.
const (
	// TSV is key, tab, value. A string or []byte is written as it is, any
	// other value as fmt's %v has it; then backslash, tab, newline and
	// carriage return become \\, \t, \n and \r, so that a line is always a
	// pair and a tab always the border.
	TSV = "tsv"
	// JSON is an object with key and value, as encoding/json has them.
	JSON = "json"
)

// appendLine appends a pair as one line of the given format, with its end.
func appendLine[K, V any](dst []byte, format string, key K, value V, keyText, valueText textOf) ([]byte, error) {
	switch format {
	case TSV:
		dst = keyText(dst, &key)
		dst = append(dst, '\t')
		dst = valueText(dst, &value)
		return append(dst, '\n'), nil
	case JSON:
		return appendObject(dst, key, value)
	}
	return dst, Permanent(fmt.Errorf("mapreduce: output format %q: there are %q and %q", format, TSV, JSON))
}

func appendObject[K, V any](dst []byte, key K, value V) ([]byte, error) {
	line := bytes.NewBuffer(dst)
	enc := json.NewEncoder(line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Key   K `json:"key"`
		Value V `json:"value"`
	}{key, value})
	if err != nil {
		return dst, Permanent(fmt.Errorf("mapreduce: write key %s as json: %w", shown(key), err))
	}
	return line.Bytes(), nil
}

// textOf appends the text of the value that v points to. Which one fits a type
// is found out once per job, not once per pair.
type textOf func(dst []byte, v any) []byte

func textFor[T any]() textOf {
	switch any(new(T)).(type) {
	case *string:
		return func(dst []byte, v any) []byte { return appendEscaped(dst, *v.(*string)) }
	case *[]byte:
		return func(dst []byte, v any) []byte { return appendEscaped(dst, *v.(*[]byte)) }
	case *int:
		return func(dst []byte, v any) []byte { return strconv.AppendInt(dst, int64(*v.(*int)), 10) }
	case *int64:
		return func(dst []byte, v any) []byte { return strconv.AppendInt(dst, *v.(*int64), 10) }
	case *uint64:
		return func(dst []byte, v any) []byte { return strconv.AppendUint(dst, *v.(*uint64), 10) }
	}
	return func(dst []byte, v any) []byte { return appendEscaped(dst, fmt.Sprint(*v.(*T))) }
}

func appendEscaped[S string | []byte](dst []byte, s S) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\':
			dst = append(dst, `\\`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// shown returns v as it appears in an error: quoted if it is text, and short.
func shown(v any) string {
	const most = 80
	s := fmt.Sprintf("%+v", v)
	if b, ok := v.([]byte); ok {
		s = string(b)
	}
	end := ""
	if len(s) > most {
		s, end = strings.ToValidUTF8(s[:most], ""), "..."
	}
	switch v.(type) {
	case string, []byte:
		s = strconv.Quote(s)
	}
	return s + end
}

func typeName[T any]() string { return reflect.TypeFor[T]().String() }

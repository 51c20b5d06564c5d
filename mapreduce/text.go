package mapreduce

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
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

// appendTSV appends a pair as one line of TSV, with its end. What is text as it
// is encoded it does not decode.
func (p *keyed[In, K, V, Out]) appendTSV(dst, key, value []byte) ([]byte, error) {
	line := dst
	if p.keyPlain {
		line = appendEscaped(line, key)
	} else {
		k, err := p.keys.Decode(key)
		if err != nil {
			return dst, fmt.Errorf("mapreduce: key to write: %w", err)
		}
		line = p.keyText(line, k)
	}
	line = append(line, '\t')
	if text, ok := p.outs.Content(value); ok && p.outPlain {
		return append(appendEscaped(line, text), '\n'), nil
	}
	v, err := p.outs.Decode(value)
	if err != nil {
		k, _ := p.keys.Decode(key)
		return dst, fmt.Errorf("mapreduce: value of key %s to write: %w", shown(k), err)
	}
	return append(p.outText(line, v), '\n'), nil
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

// textOf appends the text of a value. Which one fits a type is found out once
// per job, not once per pair.
type textOf[T any] func(dst []byte, v T) []byte

func textFor[T any]() textOf[T] {
	var text any
	switch any(*new(T)).(type) {
	case string:
		text = func(dst []byte, v string) []byte { return appendEscaped(dst, bytesOf(v)) }
	case []byte:
		text = appendEscaped
	case int:
		text = func(dst []byte, v int) []byte { return strconv.AppendInt(dst, int64(v), 10) }
	case int64:
		text = func(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }
	case uint64:
		text = func(dst []byte, v uint64) []byte { return strconv.AppendUint(dst, v, 10) }
	}
	if text, ok := text.(func([]byte, T) []byte); ok {
		return text
	}
	return func(dst []byte, v T) []byte { return appendEscaped(dst, bytesOf(fmt.Sprint(v))) }
}

// isPlain reports whether the text of a T is the string or []byte that it is.
func isPlain[T any]() bool {
	switch any(*new(T)).(type) {
	case string, []byte:
		return true
	}
	return false
}

// bytesOf returns the bytes of s, which are not to be changed.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// appendEscaped appends s, and a backslash before what would end a field.
func appendEscaped(dst, s []byte) []byte {
	for {
		n := plain(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return dst
		}
		switch s[n] {
		case '\\':
			dst = append(dst, `\\`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		}
		s = s[n+1:]
	}
}

// plain returns how many bytes of s there are before one that is escaped. It
// looks at eight at a time, in which most often there is none that might be.
func plain(s []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; n+8 <= len(s); n += 8 {
		x := binary.LittleEndian.Uint64(s[n:])
		control := (x - ' '*ones) &^ x                       // top bits of bytes below a space, and of some others
		slash := ((x ^ '\\'*ones) - ones) &^ (x ^ '\\'*ones) // of backslashes, and of some others
		if (control|slash)&tops != 0 {
			break
		}
	}
	for ; n < len(s); n++ {
		switch s[n] {
		case '\\', '\t', '\n', '\r':
			return n
		}
	}
	return n
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

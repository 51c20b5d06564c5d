package api_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// TestASpecIsTheSameOnEitherEnd fills all fields of specs by chance: none may be
// lost on the way to JSON and back, also when a field is added.
func TestASpecIsTheSameOnEitherEnd(t *testing.T) {
	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		var want job.Spec
		fill(reflect.ValueOf(&want).Elem(), chance)
		want.Mode %= 6
		for i := range want.Input.Values {
			want.Input.Values[i] = "value"
		}
		said := api.SpecOf(&want)
		b, err := json.Marshal(said)
		if err != nil {
			t.Fatal(err)
		}
		var heard api.Spec
		if err := json.Unmarshal(b, &heard); err != nil {
			t.Fatal(err)
		}
		got, err := heard.Job()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: got %+v, want %+v", seed, got, want)
		}
	}
}

// fill gives every field a value that JSON keeps.
func fill(v reflect.Value, chance *rand.Rand) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1+chance.Int64N(1<<32), 0).UTC()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), chance)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+chance.IntN(2), 2))
		for i := range v.Len() {
			fill(v.Index(i), chance)
		}
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprint("t", chance.IntN(100)))
	case v.Kind() == reflect.Bool:
		v.SetBool(chance.IntN(2) == 0)
	case v.CanInt():
		v.SetInt(1 + chance.Int64N(1<<40))
	case v.CanFloat():
		v.SetFloat(chance.Float64())
	}
}

// TestFieldsAreCalledAsInGo keeps the names of fields in JSON those of package
// job in another case, by which refusals name them.
func TestFieldsAreCalledAsInGo(t *testing.T) {
	var check func(typ reflect.Type)
	check = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if got := strings.ReplaceAll(name, "_", ""); !strings.EqualFold(got, f.Name) || strings.ContainsFunc(name, unicode.IsUpper) {
				t.Errorf("%v.%s is %q in JSON", typ, f.Name, name)
			}
			if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == typ.PkgPath() {
				check(f.Type)
			}
		}
	}
	check(reflect.TypeFor[api.Spec]())
}

func TestDurationsAreTextAsPeopleWriteIt(t *testing.T) {
	for _, c := range []struct {
		in, want string
	}{{"90s", "1m30s"}, {"5m", "5m"}, {"1h", "1h"}, {"1h0m1s", "1h0m1s"}, {"0s", "0s"}, {"250ms", "250ms"}, {"-1s", "-1s"}} {
		var d api.Duration
		if err := d.UnmarshalText([]byte(c.in)); err != nil {
			t.Fatal(err)
		}
		if got := d.String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.in, got, c.want)
		}
	}
	var d api.Duration
	if err := d.UnmarshalText([]byte("5")); err == nil || !strings.Contains(err.Error(), `"5"`) {
		t.Errorf("got %v, want it to name the value", err)
	}
}

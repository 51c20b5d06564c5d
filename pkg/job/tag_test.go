package job

import (
	"slices"
	"strings"
	"testing"
)

func TestTagsAreRefusedByWhatIsWrongWithThem(t *testing.T) {
	s := Spec{Processor: "p", Tags: []string{"billing", "team=a/b", "größe", strings.Repeat("x", MaxTag)}}.WithDefaults()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]string{
		"": `Tags[0] ""`, "a b": `Tags[0] "a b"`, "a,b": `Tags[0] "a,b"`, "a\x00": `Tags[0] "a\x00"`, "\xff": `Tags[0]`, strings.Repeat("x", MaxTag+1): "1 to 64 bytes",
	} {
		s.Tags = []string{tag}
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want it to say %s", tag, err, want)
		}
		q := RunQuery{Tags: s.Tags}
		if err := q.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want it to say %s", tag, err, want)
		}
	}
	s.Tags = make([]string, MaxTags+1)
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "17 tags") {
		t.Errorf("got %v, want it to say how many there are", err)
	}
}

// TestTagsAreAddedOnce to a spec that shares them with another.
func TestTagsAreAddedOnce(t *testing.T) {
	shared := append(make([]string, 0, 8), "a", "b")
	one, other := Spec{Tags: shared}, Spec{Tags: shared}
	one.AddTags("b", "c", "c")
	other.AddTags("d")
	if want := []string{"a", "b", "c"}; !slices.Equal(one.Tags, want) {
		t.Errorf("got %q, want %q", one.Tags, want)
	}
	if want := []string{"a", "b", "d"}; !slices.Equal(other.Tags, want) {
		t.Errorf("got %q, want %q", other.Tags, want)
	}
}

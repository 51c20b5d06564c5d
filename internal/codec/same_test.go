package codec

import (
	"strings"
	"testing"
)

func TestSameIsEqual(t *testing.T) {
	type value struct {
		Text string
		List []int
		N    int
	}
	a := value{"text", []int{1}, 1}
	b := a
	if !Same(&a, &b) {
		t.Error("a copy is not the same")
	}
	if b.N = 2; Same(&a, &b) {
		t.Error("another number is the same")
	}
	if b = a; Same(&a, &value{strings.Clone("text"), a.List, 1}) {
		t.Error("other bytes are the same")
	}
	if b.List = b.List[:0]; Same(&a, &b) {
		t.Error("a shorter list is the same")
	}
}

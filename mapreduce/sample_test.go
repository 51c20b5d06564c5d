package mapreduce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/codec"
)

// linesByNumber is a job whose key is the number that a line begins with.
func linesByNumber() Processor {
	return Of(job[string, int, int, int]{func(_ context.Context, line string, emit func(int, int)) error {
		n, err := strconv.Atoi(strings.Fields(line)[0])
		emit(n, 1)
		return err
	}, func(context.Context, int, iter.Seq[int]) (int, error) { return 0, nil }})
}

// sampled returns the keys that a sample of the payloads finds.
func sampled(t *testing.T, k Keyed, limit int, payloads ...[]byte) []int {
	t.Helper()
	sample, err := SamplePayload(payloads)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := SampleKeys(t.Context(), k, &Task{ID: "b0", Payload: sample}, limit)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		t.Error("the keys are not in order")
	}
	kc, err := codec.KeyOf[int]()
	if err != nil {
		t.Fatal(err)
	}
	var ns []int
	for _, key := range keys {
		n, err := kc.Decode(key)
		if err != nil {
			t.Fatal(err)
		}
		ns = append(ns, n)
	}
	return ns
}

func TestASampleIsSpreadOverInputThatIsInOrder(t *testing.T) {
	const lines, limit = 400_000, 2000
	var text bytes.Buffer
	for n := range lines {
		fmt.Fprintf(&text, "%07d and more\n", n)
	}
	path := write(t, "f", text.Bytes())
	size := int64(text.Len())
	k := keyedOf(t, linesByNumber())
	split := splitTask(t, Split{Ranges: []Range{{Path: path, Length: size, Size: size}}}).Payload
	var values [][]byte
	for n := range lines / 100 {
		values = append(values, valuesTask(t, fmt.Sprintf("%d and more", n*100)).Payload)
	}
	for name, payloads := range map[string][][]byte{"one split": {split}, "many values": values} {
		keys := sampled(t, k, limit, payloads...)
		if len(keys) == 0 || len(keys) > limit {
			t.Fatalf("%s: got %d keys, want up to %d", name, len(keys), limit)
		}
		for i := 1; i < 8; i++ {
			got, want := keys[i*len(keys)/8], i*lines/8
			if got < want-lines/16 || got > want+lines/16 {
				t.Errorf("%s: octile %d is %d, want about %d", name, i, got, want)
			}
		}
		if again := sampled(t, k, limit, payloads...); !slices.Equal(again, keys) {
			t.Errorf("%s: a second look found other keys", name)
		}
	}
}

func TestASmallInputIsSampledAsAWhole(t *testing.T) {
	k := keyedOf(t, linesByNumber())
	path, gz := write(t, "f", []byte("5\n6\n")), write(t, "f.gz", compress(t, []byte("1\n2\n")))
	got := sampled(t, k, 100,
		valuesTask(t, "3", "4").Payload,
		splitTask(t, Split{Ranges: []Range{{Path: path, Length: 4, Size: 4}, {Path: gz, Length: 9}}}).Payload,
		splitTask(t, Split{Whole: true, Ranges: []Range{{Path: path, Length: 4, Size: 4}}}).Payload,
	)
	if want := []int{1, 2, 3, 4, 5, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestASamplePayloadStaysSmall(t *testing.T) {
	var payloads [][]byte
	for range 600 {
		payloads = append(payloads, valuesTask(t, strings.Repeat("x", 10_000), "y").Payload)
		payloads = append(payloads, splitTask(t, Split{Ranges: []Range{{Path: "some/path", Length: 16 << 20}}}).Payload)
	}
	for range 100 {
		payloads = append(payloads, valuesTask(t, make([]byte, 1<<20)).Payload)
	}
	sample, err := SamplePayload(payloads)
	if err != nil || len(sample) > 1<<20 {
		t.Errorf("got %d bytes and %v, want less than a MiB", len(sample), err)
	}
}

func TestASampleFailsAsTheMapperDoes(t *testing.T) {
	sample, err := SamplePayload([][]byte{valuesTask(t, "x").Payload})
	if err != nil {
		t.Fatal(err)
	}
	k := keyedOf(t, linesByNumber())
	if _, err := SampleKeys(t.Context(), k, &Task{Payload: sample}, 10); err == nil || errors.Is(err, errEnough) {
		t.Errorf("got %v, want the mapper's error", err)
	}
	if _, err := SampleKeys(t.Context(), k, valuesTask(t, "1"), 10); !IsPermanent(err) {
		t.Errorf("got %v, want a permanent error", err)
	}
}

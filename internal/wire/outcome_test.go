package wire

import (
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

func outcomes() []job.Outcome {
	m := func(n int) job.TaskID { return job.TaskID{Kind: job.KindMap, N: n} }
	return []job.Outcome{
		{Task: m(0), Attempt: 1},
		{Task: m(12), Attempt: 2, Result: []byte("result"), Took: 3 * time.Millisecond, Bytes: 1 << 30},
		{Task: m(300), Attempt: 1, Failure: &job.Failure{
			Reason: "why", Permanent: true, After: time.Second, Refused: true,
			Lost: []job.MapOutputID{{Task: 4, Epoch: 5, Attempt: 6}},
		}},
		{Task: job.TaskID{Kind: job.KindReduce, N: 1}, Attempt: 1, Files: []string{"part-00001", ""}, Result: []byte{0}},
		{Task: m(5), Attempt: 4, Failure: &job.Failure{}},
	}
}

func reported(t testing.TB, os ...job.Outcome) (blob []byte) {
	t.Helper()
	var err error
	for i := range os {
		if blob, err = AppendOutcome(blob, &os[i]); err != nil {
			t.Fatal(err)
		}
	}
	return blob
}

func understood(blob []byte) (got []job.Outcome, err error) {
	for o, err := range Outcomes(blob) {
		if err != nil {
			return got, err
		}
		got = append(got, o)
	}
	return got, nil
}

func TestOutcomesComeBackAsTheyWere(t *testing.T) {
	want := outcomes()
	got, err := understood(reported(t, want...))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
}

// The bytes are in journals on disks: who changes them makes another kind of
// entry.
func TestOutcomesKeepTheirBytes(t *testing.T) {
	want := []string{
		"006d00010000",
		"016d0c02c08db7018080808004" + "06726573756c74",
		"026dac02010000" + "21" + "85a172a3776879a170c3a161ce3b9aca00a16c9183a17404a16505a16106a16ec3",
		"057201010000" + "0100" + "0d92aa706172742d3030303031a0",
		"026d05040000" + "04" + "81a172a0",
	}
	for i, o := range outcomes() {
		if got := hex.EncodeToString(reported(t, o)); got != want[i] {
			t.Errorf("outcome %d: got %s, want %s", i, got, want[i])
		}
	}
}

func TestOutcomesThatAreCutOffAreAnError(t *testing.T) {
	for i, o := range outcomes() {
		blob := reported(t, o)
		for n := 1; n < len(blob); n++ {
			if got, err := understood(blob[:n]); err == nil {
				t.Errorf("outcome %d: %d of %d bytes gave %+v", i, n, len(blob), got)
			}
		}
	}
}

func TestOutcomesThatMakeNoSenseAreRefused(t *testing.T) {
	for name, b := range map[string]string{
		"unknown flag":         "086d00010000",
		"result of no bytes":   "016d0001000000",
		"files, but none":      "046d00010000" + "0190",
		"failure that is none": "026d00010000" + "01c1",
		"number of 33 bits":    "006dffffffff1f010000",
		"negative time":        "006d0001ffffffffffffffffff0100",
		"negative bytes":       "006d000100ffffffffffffffffff01",
	} {
		blob, err := hex.DecodeString(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := understood(blob); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestOutcomeThatNobodyCouldReadIsNotWritten(t *testing.T) {
	m := job.TaskID{Kind: job.KindMap}
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprint("a file with a longer name ", i))
	}
	for name, o := range map[string]job.Outcome{
		"result":           {Task: m, Result: make([]byte, MaxPayload+1)},
		"files":            {Task: m, Files: names},
		"failure":          {Task: m, Failure: &job.Failure{Reason: strings.Repeat("r", maxDetail)}},
		"negative task":    {Task: job.TaskID{Kind: job.KindMap, N: -1}},
		"negative attempt": {Task: m, Attempt: -1},
		"large attempt":    {Task: m, Attempt: math.MaxInt32 + 1},
	} {
		if _, err := AppendOutcome(nil, &o); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
	largest := job.Outcome{
		Task: job.TaskID{Kind: job.KindMap, N: math.MaxInt32}, Attempt: math.MaxInt32, Result: make([]byte, MaxPayload),
		Files: names[:1000], Took: math.MaxInt64, Bytes: math.MaxInt64,
	}
	if got, err := understood(reported(t, largest)); err != nil || !reflect.DeepEqual(got[0], largest) {
		t.Errorf("the largest outcome: %v", err)
	}
	// A clock that went backwards is no reason to lose an outcome.
	if got, err := understood(reported(t, job.Outcome{Task: m, Took: -1, Bytes: -1})); err != nil || got[0].Took != 0 || got[0].Bytes != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func FuzzOutcomes(f *testing.F) {
	for _, o := range outcomes() {
		f.Add(reported(f, o))
	}
	f.Add(reported(f, outcomes()...))
	f.Fuzz(func(t *testing.T, blob []byte) {
		var got []job.Outcome
		var err error
		modest(t, len(blob), func() { got, err = understood(blob) })
		if err != nil {
			return
		}
		if again, err := understood(reported(t, got...)); err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("got %+v, %v after %+v", again, err, got)
		}
	})
}

func BenchmarkOutcomes(b *testing.B) {
	o := job.Outcome{Task: job.TaskID{Kind: job.KindMap, N: 123456}, Attempt: 1, Result: []byte("result"), Took: time.Millisecond}
	var blob []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if blob, err = AppendOutcome(blob[:0], &o); err != nil {
			b.Fatal(err)
		}
		for got, err := range Outcomes(blob) {
			if err != nil || got.Task != o.Task {
				b.Fatal(got, err)
			}
		}
	}
}

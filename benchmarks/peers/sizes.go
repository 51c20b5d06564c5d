package main

import "github.com/musterhq/muster/benchmarks/peers/input"

// sizes say how large things are. Those of a list are measured one by one.
type sizes struct {
	repeat   int
	tasks    []int64
	payloads []int64
	// payloadTasks is how many tasks there are for each of payloads.
	payloadTasks int64
	// limits is how many tasks are the most for a side.
	limits    map[string]int64
	latencies int64
	text      []int64 // bytes
	exponents []float64
	// exponentText is how large the text is for each of exponents.
	exponentText int64
	sort         []int64 // bytes
	lengths      []int64 // of a record
	// lengthBytes is how large all records are for each of lengths.
	lengthBytes int64
	rows        []int64
	keys        []string
	keyRows     int64 // for each of keys
	memory      int64
	tight       int64 // another bound of memory, for the largest of sort
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// presets are the sizes that go by a name. A small one takes about three
// minutes, a full one about two hours.
var presets = map[string]sizes{
	"small": {
		repeat: 3,
		tasks:  []int64{100, 1_000, 10_000, 100_000}, payloads: []int64{0, 4 * kib, 64 * kib}, payloadTasks: 500,
		limits:    map[string]int64{"asynq-always": 1_000, "asynq-everysec": 100_000, "river": 100_000, "muster-runs": 100_000},
		latencies: 20,
		text:      []int64{4 * mib, 16 * mib},
		sort:      []int64{4 * mib, 16 * mib}, lengths: []int64{input.RecordBytes, kib, 64 * kib}, lengthBytes: 16 * mib,
		rows: []int64{20_000, 200_000}, keys: []string{input.One}, keyRows: 200_000,
		memory: 2 * gib,
	},
	"full": {
		repeat: 5,
		tasks:  []int64{100, 1_000, 10_000, 100_000, 1_000_000}, payloads: []int64{0, 256, 4 * kib, 16 * kib, 64 * kib}, payloadTasks: 2_000,
		limits:    map[string]int64{"asynq-always": 10_000, "asynq-everysec": 100_000, "river": 100_000, "muster-runs": 100_000},
		latencies: 200,
		text:      []int64{16 * mib, 64 * mib, 256 * mib, gib}, exponents: []float64{1, 1.2, 1.5}, exponentText: 64 * mib,
		sort: []int64{16 * mib, 64 * mib, 256 * mib, gib}, tight: 256 * mib, lengths: []int64{20, input.RecordBytes, kib, 16 * kib, 64 * kib}, lengthBytes: 256 * mib,
		rows: []int64{200_000, 2_000_000, 20_000_000}, keys: []string{input.Distinct, input.Hundred, "zipf1", "zipf1.2", "zipf1.5", input.One}, keyRows: 2_000_000,
		memory: 2 * gib,
	},
}

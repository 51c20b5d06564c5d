package workload

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/musterhq/muster/benchmarks"
)

// prepare makes the input of the named workload.
func prepare(t *testing.T, name string, o benchmarks.Options) (trial benchmarks.Trial, dir string) {
	t.Helper()
	o.Nodes, o.Slots = max(o.Nodes, 1), max(o.Slots, 1)
	w, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if trial, err = w.Prepare(t.Context(), o, dir); err != nil {
		t.Fatal(err)
	}
	return trial, dir
}

func TestUnknownWorkloadIsToldThoseThereAre(t *testing.T) {
	_, err := Named("wordcoutn")
	for _, w := range All() {
		if err == nil || !strings.Contains(err.Error(), w.Name()) {
			t.Errorf("got error %v, want one that names %s", err, w.Name())
		}
	}
}

func TestSameSeedMakesTheSameInput(t *testing.T) {
	sum := func(dir string) (s string) {
		files, err := filepath.Glob(filepath.Join(dir, "in-*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("got %d files, %v, want some", len(files), err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			s += fmt.Sprintf("%x ", sha256.Sum256(b))
		}
		return s
	}
	for _, name := range []string{"wordcount", "sort", "index", "groupby"} {
		o := benchmarks.Options{Seed: 1, Bytes: 100 << 10}
		trial, dir := prepare(t, name, o)
		_, again := prepare(t, name, o)
		o.Seed = 2
		_, other := prepare(t, name, o)
		if sum(dir) != sum(again) {
			t.Errorf("%s: got another input from the same seed", name)
		}
		if sum(dir) == sum(other) {
			t.Errorf("%s: got the same input from another seed", name)
		}
		_, size := trial.Size()
		if size < o.Bytes*9/10 || size > o.Bytes*12/10 {
			t.Errorf("%s: got %d bytes, want about %d", name, size, o.Bytes)
		}
	}
}

// TestWordsAreAsFrequentAsZipfSays allows for five standard deviations.
func TestWordsAreAsFrequentAsZipfSays(t *testing.T) {
	const draws = 1_000_000
	text := newText(benchmarks.Options{Seed: 3}, 0)
	got := make([]int, len(text.words))
	for range draws {
		got[text.next()]++
	}
	sum := 0.0
	for i := range text.words {
		sum += 1 / float64(i+1)
	}
	for _, n := range []int{1, 2, 3, 10, 100, 1000} {
		want := draws / (float64(n) * sum)
		if d := float64(got[n-1]) - want; d*d > 25*want {
			t.Errorf("got word %d %d times of %d (seed 3), want about %.0f", n, got[n-1], draws, want)
		}
	}
}

func TestChecksSeeWhatIsWrong(t *testing.T) {
	t.Run("noop", func(t *testing.T) {
		k, _ := prepare(t, "noop", benchmarks.Options{Tasks: 10})
		trial := k.(*noopTrial)
		for name, c := range map[string]struct {
			got  noopSum
			done int
			ok   bool
		}{
			"right":           {noopSum{10, 10}, 12, true},
			"one missing":     {noopSum{9, 9}, 12, false},
			"one twice":       {noopSum{11, 10}, 12, false},
			"not all done":    {noopSum{10, 10}, 11, false},
			"one for another": {noopSum{10, 9}, 12, false},
		} {
			trial.got, trial.done = c.got, c.done
			if err := trial.Check(t.Context()); (err == nil) != c.ok {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
	t.Run("runs", func(t *testing.T) {
		k, _ := prepare(t, "runs", benchmarks.Options{Tasks: 2})
		trial := k.(*runsTrial)
		if trial.got = []uint64{trial.answer(0), trial.answer(1)}; trial.Check(t.Context()) != nil {
			t.Error("got an error, want none: all answers are right")
		}
		if trial.got = []uint64{trial.answer(1), trial.answer(1)}; trial.Check(t.Context()) == nil {
			t.Error("got no error, want one: run 0 has the answer of run 1")
		}
	})
	t.Run("wordcount", func(t *testing.T) {
		k, dir := prepare(t, "wordcount", benchmarks.Options{Bytes: 10 << 10})
		trial := k.(*wordCountTrial)
		trial.got = map[string]int{}
		for line := range allLines(t, dir) {
			for word := range strings.FieldsSeq(line) {
				trial.got[word]++
			}
		}
		if trial.Check(t.Context()) != nil {
			t.Error("got an error, want none: all counts are right")
		}
		word := slices.Sorted(maps.Keys(trial.got))[0]
		if trial.got[word]++; trial.Check(t.Context()) == nil {
			t.Error("got no error, want one: a word was counted twice")
		}
		if delete(trial.got, word); trial.Check(t.Context()) == nil {
			t.Error("got no error, want one: a word is missing")
		}
		if trial.got[word+"'"] = 1; trial.Check(t.Context()) == nil {
			t.Error("got no error, want one: there is another word instead")
		}
	})
}

// allLines returns the lines of the input in dir.
func allLines(t *testing.T, dir string) iter.Seq[string] {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "in-*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v, want some", len(files), err)
	}
	return func(yield func(string) bool) {
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Error(err)
			}
			for line := range strings.Lines(string(b)) {
				if !yield(strings.TrimSuffix(line, "\n")) {
					return
				}
			}
		}
	}
}

func TestCheckOfGroupBySeesWhatIsWrong(t *testing.T) {
	for keys, least := range map[int]int{0: 100, 7: 7, 1: 1} {
		k, dir := prepare(t, "groupby", benchmarks.Options{Bytes: 4000, Keys: keys, Skew: 1.2})
		trial := k.(*groupTrial)
		sums := map[string]int{}
		for line := range allLines(t, dir) {
			key, amount, _ := strings.Cut(line, " ")
			n, err := strconv.Atoi(amount)
			if err != nil {
				t.Fatal(err)
			}
			sums[key] += n
		}
		if len(sums) < least || keys > 0 && len(sums) > keys {
			t.Errorf("%d keys asked for: got %d", keys, len(sums))
		}
		var right []string
		for key, sum := range sums {
			right = append(right, fmt.Sprintf("%s\t%d", key, sum))
		}
		slices.Sort(right)
		key, sum, _ := strings.Cut(right[0], "\t")
		n, _ := strconv.Atoi(sum)
		less := append([]string{fmt.Sprintf("%s\t%d", key, n-1)}, right[1:]...)
		for name, c := range map[string]struct {
			lines []string
			ok    bool
		}{
			"right":       {right, true},
			"key missing": {right[1:], false},
			"one less":    {less, false},
			"key in two":  {append([]string{key + "\t1"}, less...), false},
			"no sum":      {append([]string{key}, right[1:]...), false},
		} {
			trial.tries++
			output(t, trial.out(), c.lines)
			if err := trial.Check(t.Context()); (err == nil) != c.ok {
				t.Errorf("%d keys, %s: got %v", keys, name, err)
			}
		}
	}
}

// output writes what a run would have: in files as the trial's Check reads
// them.
func output(t *testing.T, dir string, parts ...[]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, lines := range parts {
		text := strings.Join(append(slices.Clone(lines), ""), "\n")
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("part-%05d", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckOfSortSeesWhatIsWrong(t *testing.T) {
	k, dir := prepare(t, "sort", benchmarks.Options{Bytes: 4000})
	trial := k.(*sortTrial)
	files, _ := filepath.Glob(filepath.Join(dir, "in-*"))
	var right []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			right = append(right, line[:keyBytes]+"\t"+line[keyBytes:recordBytes-1])
		}
	}
	slices.Sort(right)
	n := len(right)
	swapped := slices.Clone(right)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	altered := slices.Clone(right)
	altered[5] = altered[5][:20] + "-" + altered[5][21:]
	for name, c := range map[string]struct {
		parts [][]string
		ok    bool
	}{
		"right":             {[][]string{right[:n/2], right[n/2:]}, true},
		"partitions turned": {[][]string{right[n/2:], right[:n/2]}, false},
		"records swapped":   {[][]string{swapped}, false},
		"record altered":    {[][]string{altered}, false},
		"record missing":    {[][]string{right[:n-1]}, false},
		"record twice":      {[][]string{right[:n/2], right[n/2-1:]}, false},
		"record cut":        {[][]string{right[:n-1], {right[n-1][:50]}}, false},
		"nothing":           {nil, false},
	} {
		trial.tries++
		output(t, trial.out(), c.parts...)
		if err := trial.Check(t.Context()); (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCheckOfIndexSeesWhatIsWrong(t *testing.T) {
	k, dir := prepare(t, "index", benchmarks.Options{Bytes: 3 * documentBytes})
	trial := k.(*indexTrial)
	files, _ := filepath.Glob(filepath.Join(dir, "in-*"))
	lists := map[string][]string{}
	for i, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(string(b))
		slices.Sort(words)
		for _, word := range slices.Compact(words) {
			lists[word] = append(lists[word], fmt.Sprint(i))
		}
	}
	words := slices.Sorted(maps.Keys(lists))
	common := slices.MaxFunc(words, func(a, b string) int { return len(lists[a]) - len(lists[b]) })
	lines := func(of map[string][]string) (all []string) {
		for _, word := range slices.Sorted(maps.Keys(of)) {
			all = append(all, word+"\t"+strings.Join(of[word], " "))
		}
		return all
	}
	right := lines(lists)
	with := func(word string, list []string) [][]string {
		m := maps.Clone(lists)
		if m[word] = list; list == nil {
			delete(m, word)
		}
		return [][]string{lines(m)}
	}
	reversed := slices.Clone(lists[common])
	slices.Reverse(reversed)
	for name, c := range map[string]struct {
		parts [][]string
		ok    bool
	}{
		"right":            {[][]string{right[:7], right[7:]}, true},
		"word missing":     {with(words[0], nil), false},
		"word of nobody":   {with("Zebra", []string{"0"}), false},
		"word twice":       {[][]string{right[:8], right[7:]}, false},
		"document missing": {with(common, lists[common][1:]), false},
		"another document": {with(common, append([]string{"7"}, lists[common][1:]...)), false},
		"order reversed":   {with(common, reversed), false},
		"no number":        {with(common, []string{"x"}), false},
	} {
		trial.tries++
		output(t, trial.out(), c.parts...)
		if err := trial.Check(t.Context()); (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestPayloadsOverTheLimitAreRefused(t *testing.T) {
	for _, w := range []benchmarks.Workload{noop{}, runs{}} {
		_, err := w.Prepare(t.Context(), benchmarks.Options{Tasks: 2, Bytes: 1 << 30}, t.TempDir())
		if err == nil || !strings.Contains(err.Error(), "Bytes 1073741824") {
			t.Errorf("%s: got error %v, want one about Bytes", w.Name(), err)
		}
	}
}

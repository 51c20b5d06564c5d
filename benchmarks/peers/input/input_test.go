package input

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// lines returns all lines of the files in dir.
func lines(t *testing.T, dir string) (all []string) {
	t.Helper()
	if err := eachLine(t.Context(), dir, func(line []byte) error {
		all = append(all, string(line))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// output writes files as a side would.
func output(t *testing.T, parts ...[]string) string {
	t.Helper()
	dir := t.TempDir()
	for i, part := range parts {
		text := strings.Join(append(slices.Clone(part), ""), "\n")
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("part-%d", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "_SUCCESS"), []byte("all is well\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

type outputCase struct {
	parts [][]string
	ok    bool
}

func checkAll(t *testing.T, in Input, cases map[string]outputCase) {
	t.Helper()
	for name, c := range cases {
		if err := in.Check(t.Context(), output(t, c.parts...)); (err == nil) != c.ok {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func TestCheckOfTextSeesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	in, err := MakeText(t.Context(), dir, 20<<10, 1, 7)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, line := range lines(t, dir) {
		for word := range strings.FieldsSeq(line) {
			counts[word]++
		}
	}
	rows := func(format string) (all []string) {
		for _, word := range slices.Sorted(maps.Keys(counts)) {
			all = append(all, strings.NewReplacer("W", word, "N", strconv.Itoa(counts[word])).Replace(format))
		}
		return all
	}
	right := rows("W\tN")
	n := len(right)
	checkAll(t, in, map[string]outputCase{
		"right":            {[][]string{right[n/2:], right[:n/2]}, true},
		"as uniq does":     {[][]string{rows("      N W")}, true},
		"one missing":      {[][]string{right[1:]}, false},
		"one twice":        {[][]string{right, right[:1]}, false},
		"one more":         {[][]string{right, {"Zebra\t1"}}, false},
		"counted too much": {[][]string{right[1:], {right[0] + "0"}}, false},
		"no count":         {[][]string{right[1:], {"word"}}, false},
		"nothing":          {nil, false},
	})
	if items, size := in.Size(); items < 1000 || size < 20<<10 || size > 24<<10 {
		t.Errorf("got %d words in %d bytes, want about 20 KiB", items, size)
	}
}

func TestCheckOfRecordsSeesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	in, err := MakeRecords(t.Context(), dir, 4000, RecordBytes, 7)
	if err != nil {
		t.Fatal(err)
	}
	right := slices.Sorted(slices.Values(lines(t, dir)))
	n := len(right)
	tabbed := slices.Clone(right)
	for i, r := range tabbed {
		tabbed[i] = r[:KeyBytes] + "\t" + r[KeyBytes:]
	}
	swapped := slices.Clone(right)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	altered := slices.Clone(right)
	altered[5] = altered[5][:50] + "=" + altered[5][51:]
	checkAll(t, in, map[string]outputCase{
		"right":         {[][]string{right[:n/2], right[n/2:]}, true},
		"with tabs":     {[][]string{tabbed}, true},
		"files turned":  {[][]string{right[n/2:], right[:n/2]}, false},
		"two swapped":   {[][]string{swapped}, false},
		"one altered":   {[][]string{altered}, false},
		"one missing":   {[][]string{right[1:]}, false},
		"one twice":     {[][]string{right[:5], right[4:]}, false},
		"one cut short": {[][]string{right[:n-1], {right[n-1][:60]}}, false},
	})
}

func TestCheckOfGroupsSeesWhatIsWrong(t *testing.T) {
	for _, distribution := range []string{Distinct, Hundred, One, "zipf1.2"} {
		t.Run(distribution, func(t *testing.T) {
			dir := t.TempDir()
			in, err := MakeGroups(t.Context(), dir, 300, distribution, 7)
			if err != nil {
				t.Fatal(err)
			}
			sums := map[string]int{}
			for _, line := range lines(t, dir) {
				key, value, _ := strings.Cut(line, "\t")
				n, err := strconv.Atoi(value)
				if err != nil {
					t.Fatal(err)
				}
				sums[key] += n
			}
			if want := map[string]int{Distinct: 300, Hundred: 3, One: 1}[distribution]; want > 0 && len(sums) != want {
				t.Errorf("got %d keys, want %d", len(sums), want)
			}
			var right []string
			for key, sum := range sums {
				right = append(right, fmt.Sprintf("%s\t%d", key, sum))
			}
			checkAll(t, in, map[string]outputCase{
				"right":       {[][]string{right}, true},
				"one missing": {[][]string{right[1:]}, false},
				"one twice":   {[][]string{right, right[:1]}, false},
				"another sum": {[][]string{right[1:], {right[0] + "1"}}, false},
				"another key": {[][]string{right, {"00000000000000ff\t1"}}, false},
			})
		})
	}
	if _, err := MakeGroups(t.Context(), t.TempDir(), 10, "zipf9", 7); err == nil || !strings.Contains(err.Error(), `"zipf9"`) {
		t.Errorf("got error %v, want one that names the distribution", err)
	}
}

func TestSameSeedMakesTheSameInput(t *testing.T) {
	of := func(seed uint64) string {
		dir := t.TempDir()
		if _, err := MakeText(t.Context(), dir, 5000, 1.1, seed); err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines(t, dir), "\n")
	}
	if first := of(1); first != of(1) {
		t.Error("got another text from the same seed")
	}
	if of(1) == of(2) {
		t.Error("got the same text from another seed")
	}
}

func TestScatteredTakesEachNumberToOneOfItsOwn(t *testing.T) {
	for _, n := range []int64{1, 2, 3, 10, 100, 1000, 4096} {
		f, seen := scattered(n), map[int64]bool{}
		for i := range n {
			seen[f(i)] = true
		}
		if len(seen) != int(n) {
			t.Errorf("got %d numbers of %d", len(seen), n)
		}
	}
}

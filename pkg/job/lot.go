package job

// MaxLot is how many runs a lot has at most.
const MaxLot = 1024

// lotDigits is how many digits the number of a run within its lot has, so that
// IDs are in the order of the numbers.
const lotDigits = 4

// InLot returns the ID of run i of a lot, as in
// "reports/nightly@20260329T030000Z-k3x9zq2p.0017". Runs that are submitted
// together and differ in their Params alone are one, which spares the cluster
// nearly all that it takes to keep a record of each.
func InLot(lot RunID, i int) RunID {
	id := make([]byte, len(lot)+1+lotDigits)
	id[copy(id, lot)] = '.'
	for at := len(id) - 1; at > len(lot); at-- {
		id[at] = byte('0' + i%10)
		i /= 10
	}
	return RunID(id)
}

// LotOf takes InLot back. It reports false for an ID that is none of a lot.
func LotOf(id RunID) (lot RunID, i int, ok bool) {
	dot := len(id) - lotDigits - 1
	if dot <= 0 || id[dot] != '.' {
		return "", 0, false
	}
	for k := dot + 1; k < len(id); k++ {
		if id[k] < '0' || id[k] > '9' {
			return "", 0, false
		}
		i = 10*i + int(id[k]-'0')
	}
	return id[:dot], i, i < MaxLot
}

package sharding

// DefaultSplit is how many bytes of input a map task gets unless the job says
// otherwise: enough to make the cost of a task vanish, and few enough that a
// lost one is soon made again.
const DefaultSplit = 16 << 20

// maxPieces bounds the pieces of one map input, because opening a file has a
// price even if it is empty.
const maxPieces = 4096

// A Piece is a range of the bytes of one file.
type Piece struct {
	// File is the index of the file in the list that was split.
	File           int
	Offset, Length int64
}

// Split turns files of the given sizes, in bytes, into map inputs of about
// target bytes: large files are cut into pieces of equal length, small ones
// are put together. Every byte is in exactly one piece, every file in at least
// one, and pieces keep the order of the files. No input is above target
// unless it is a single file that must stay whole.
//
// A file for which whole is true is never cut; a nil whole allows all to be.
// A target of zero or less means DefaultSplit. There may be as
// many as len(sizes) + bytes/target inputs: check that before the call if the
// target comes from a user.
func Split(sizes []int64, target int64, whole func(file int) bool) [][]Piece {
	if target <= 0 {
		target = DefaultSplit
	}
	p := packer{target: target, price: target / maxPieces}
	for file, size := range sizes {
		size = max(size, 0)
		pieces := int64(1)
		if size > target && (whole == nil || !whole(file)) {
			pieces = (size-1)/target + 1
		}
		length, longer := size/pieces, size%pieces
		var offset int64
		for i := range pieces {
			n := length
			if i < longer {
				n++
			}
			p.add(Piece{file, offset, n})
			offset += n
		}
	}
	return p.inputs
}

// packer fills one input after the other.
type packer struct {
	target, price int64
	inputs        [][]Piece
	filled        int64 // of the last input
}

func (p *packer) add(piece Piece) {
	last := len(p.inputs) - 1
	cost := max(piece.Length, p.price)
	if last < 0 || cost > p.target-p.filled || len(p.inputs[last]) == maxPieces {
		p.inputs = append(p.inputs, []Piece{piece})
		p.filled = cost
		return
	}
	p.inputs[last] = append(p.inputs[last], piece)
	p.filled += cost
}

package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// A call on the wire is a request and an answer. A stream begins with a
// request, and then both ends send frames:
//
//	request  method length (1) · method · length (4) · bytes
//	answer   status (1)        · length (4) · bytes, or an encoded RemoteError
//	frame    type (1)          · length (4) · bytes
//
// Lengths are big-endian, and each is held against its limit before anything
// is allocated for it.
const (
	statusOK    = 1
	statusError = 2
)

const (
	frameData   = 1 // bytes of the stream
	frameEnd    = 2 // no more data follows; what came is whole
	frameError  = 3 // the handler has failed: an encoded RemoteError
	frameDone   = 4 // the handler has returned
	frameCredit = 5 // length more bytes of data may be sent; no bytes follow
)

const (
	answerHeader = 5
	maxErrorSize = 1 + maxCode + maxMessage
	// readStep is how much is allocated for bytes that a peer has announced
	// and not sent yet.
	readStep = 256 << 10
)

func appendRequest(b []byte, method string, req []byte) []byte {
	b = slices.Grow(b, 1+len(method)+4+len(req))
	b = append(b, byte(len(method)))
	b = append(b, method...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(req)))
	return append(b, req...)
}

// tooLarge says that a peer has announced more than the limit.
type tooLarge struct {
	what  string
	size  uint32
	limit int
}

func (e *tooLarge) Error() string {
	return fmt.Sprintf("transport: %s of %d bytes, the limit is %d: raise MaxRequest or use a stream", e.what, e.size, e.limit)
}

// readRequest returns the method as well when only the rest is bad.
func readRequest(r io.Reader, limit int) (method string, req []byte, err error) {
	var b [maxName]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return "", nil, err
	}
	name := b[:b[0]]
	if _, err := io.ReadFull(r, name); err != nil {
		return "", nil, err
	}
	method = string(name)
	if _, err := io.ReadFull(r, b[:4]); err != nil {
		return method, nil, err
	}
	req, err = readN(r, "request", binary.BigEndian.Uint32(b[:4]), limit)
	return method, req, err
}

// appendAnswer encodes the header of an answer or frame and the bytes after it.
func appendAnswer(b []byte, status byte, body []byte) []byte {
	b = slices.Grow(b, answerHeader+len(body))
	b = append(b, status)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// readAnswer returns what a handler did, or in err why that cannot be told.
func readAnswer(r io.Reader, method string, limit int) (resp []byte, remote *RemoteError, err error) {
	var b [answerHeader]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, nil, err
	}
	size := binary.BigEndian.Uint32(b[1:])
	switch b[0] {
	case statusOK:
		resp, err = readN(r, "answer", size, limit)
		return resp, nil, err
	case statusError:
		remote, err = readError(r, method, size)
		return nil, remote, err
	}
	return nil, nil, fmt.Errorf("transport: answer with status %d: the peer does not keep to the protocol", b[0])
}

func appendError(b []byte, e *RemoteError) []byte {
	b = append(b, byte(len(e.Code)))
	b = append(b, e.Code...)
	return append(b, e.Message...)
}

func readError(r io.Reader, method string, size uint32) (*RemoteError, error) {
	b, err := readN(r, "error", size, maxErrorSize)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return nil, fmt.Errorf("transport: error of %d bytes that is cut short: the peer does not keep to the protocol", size)
	}
	code, message := b[1:1+b[0]], b[1+int(b[0]):]
	return &RemoteError{Method: method, Code: string(code), Message: string(message)}, nil
}

// writePieces writes b so that others on the session get their turn between.
func writePieces(w io.Writer, b []byte) error {
	for len(b) > 0 {
		n := min(len(b), chunkSize)
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// readN reads n bytes, allocating as they come.
func readN(r io.Reader, what string, n uint32, limit int) ([]byte, error) {
	if uint64(n) > uint64(limit) {
		return nil, &tooLarge{what, n, limit}
	}
	b := make([]byte, 0, min(int(n), readStep))
	for {
		got, err := io.ReadFull(r, b[len(b):cap(b)])
		b = b[:len(b)+got]
		if err == io.EOF && len(b) < int(n) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && len(b) < int(n) {
			return nil, err
		}
		if len(b) == int(n) {
			return b, nil
		}
		b = slices.Grow(b, min(int(n)-len(b), len(b)))
		b = b[:len(b):min(cap(b), int(n))]
	}
}

package chain

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
)

// An entry takes two hashes, its own and a node of the tree, over seven blocks of
// input. What crypto/sha256 does around its compression function to give out a sum,
// a copy of the state and two buffers, costs as much as two more. So messages are
// padded here (FIPS 180-4, section 5.1.1) and handed over in whole blocks, and the
// sum is read from the state that the hash marshals: the same digest in a sixth less
// time. That the state stands where it is expected is tried when the program begins,
// because its form is not promised; if it does not, the sum is what sha256.Sum256 says.
var stateKnown = stateHasSum()

const (
	blockSize  = sha256.BlockSize
	lengthSize = 8 // of the message in bits, at the end of the padding
	// The state as crypto/sha256 marshals it: a word that says so, and the eight
	// words of the sum first.
	stateBegins = 4
	stateSize   = 128 // more than it takes
)

// sha is SHA-256.
func sha(message []byte) (sum Hash) {
	if !stateKnown {
		return sha256.Sum256(message)
	}
	return paddedSum(message)
}

func paddedSum(message []byte) (sum Hash) {
	whole := len(message) / blockSize * blockSize
	var last [2 * blockSize]byte
	n := copy(last[:], message[whole:])
	last[n] = 0x80
	end := blockSize
	if n+1+lengthSize > blockSize {
		end = 2 * blockSize
	}
	binary.BigEndian.PutUint64(last[end-lengthSize:], 8*uint64(len(message)))
	h := sha256.New()
	_, _ = h.Write(message[:whole]) // a hash takes everything
	_, _ = h.Write(last[:end])
	var state [stateSize]byte
	marshaled, _ := h.(encoding.BinaryAppender).AppendBinary(state[:0])
	copy(sum[:], marshaled[stateBegins:])
	return sum
}

// nodeSum is NodeHash where stateKnown.
func nodeSum(left, right *Hash) (sum Hash) {
	const size = 1 + 2*sha256.Size
	var blocks [2 * blockSize]byte
	blocks[0] = nodePrefix
	copy(blocks[1:], left[:])
	copy(blocks[1+sha256.Size:], right[:])
	blocks[size] = 0x80
	binary.BigEndian.PutUint64(blocks[len(blocks)-lengthSize:], 8*size)
	h := sha256.New()
	_, _ = h.Write(blocks[:])
	var state [stateSize]byte
	marshaled, _ := h.(encoding.BinaryAppender).AppendBinary(state[:0])
	copy(sum[:], marshaled[stateBegins:])
	return sum
}

// stateHasSum tries it with messages whose padding is of every kind.
func stateHasSum() bool {
	h := sha256.New()
	a, ok := h.(encoding.BinaryAppender)
	if !ok {
		return false
	}
	if state, err := a.AppendBinary(nil); err != nil || len(state) > stateSize || len(state) < stateBegins+sha256.Size {
		return false
	}
	message := make([]byte, 3*blockSize)
	for i := range message {
		message[i] = byte(7 * i)
	}
	for n := range len(message) + 1 {
		if paddedSum(message[:n]) != sha256.Sum256(message[:n]) {
			return false
		}
	}
	left, right := Hash(message[:sha256.Size]), Hash(message[sha256.Size:])
	both := append(append([]byte{nodePrefix}, left[:]...), right[:]...)
	return nodeSum(&left, &right) == sha256.Sum256(both)
}

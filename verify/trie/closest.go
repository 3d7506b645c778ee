package trie

// ClosestMerkleValue returns the Merkle value of the highest node at or below key, as chainHead_v1_storage asks for
// it by closestDescendantMerkleValue: what the node's parent has of it, its encoding, or the Blake2b-256 of that from
// 32 bytes on; of the root node its hash. It is another whenever something at or below key is. It aliases the proof.
//
// Absent: nothing begins with key. Incomplete: an entry on the path is missing; a proof of key has them all.
func (p *Proof) ClosestMerkleValue(key []byte) (merkle []byte, o Outcome, err error) {
	switch p.top {
	case emptyTop:
		return nil, Absent, nil
	case -1:
		return nil, Incomplete, nil
	}
	var v view
	if err := p.node(p.top, &v); err != nil {
		return nil, Incomplete, err
	}
	if v.empty {
		return nil, Absent, nil
	}
	merkle = p.root[:]
	for rest := keyNibbles(key); ; {
		c := v.partial.common(rest)
		switch {
		case c == rest.n: // all of key has led here
			return merkle, Present, nil
		case c < v.partial.n:
			return nil, Absent, nil
		}
		if merkle = v.child(rest.at(c)); merkle == nil {
			return nil, Absent, nil
		}
		if rest = rest.from(c + 1); rest.n == 0 {
			return merkle, Present, nil
		}
		if len(merkle) < 32 {
			// The decoding of its parent has judged it.
			_ = decodeNode(merkle, &v)
			continue
		}
		i := p.find(merkle)
		if i < 0 {
			return nil, Incomplete, nil
		}
		if err := p.node(i, &v); err != nil {
			return nil, Incomplete, err
		}
	}
}

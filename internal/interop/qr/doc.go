// Package qr lets a QR reader that nobody here wrote judge the codes of gossip/carrier: gozxing, a
// port of ZXing. Run it with
//
//	go test .
//
// It is a module of its own, so that the reader never enters taolight's go.mod. It looks at pictures
// drawn without a camera; what light, lenses and distance do is not tested.
package qr

package demonet

import "testing"

func TestMetadata(t *testing.T) {
	m, err := Metadata(0)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := m.RuntimeVersion(); err != nil || v.SpecVersion != specNewest || v.TransactionVersion != transactionVersion {
		t.Errorf("%+v, %v", v, err)
	}
}

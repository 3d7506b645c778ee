package runtime

// APIID is how a runtime API is named in a Version: Blake2b-64 of its name.
func APIID(name string) [8]byte { return apiID(name) }

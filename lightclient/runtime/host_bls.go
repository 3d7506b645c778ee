package runtime

// The host functions over BLS12-381 (sp_crypto_ec_utils::bls12_381).
var blsFunctions = map[string]hostFunction{}

package yuma

// RandomEpoch is for the tests against package reference, which imports this one.
var RandomEpoch = randomEpoch

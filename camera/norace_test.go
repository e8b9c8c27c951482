//go:build !race

package camera

const raceDetector = false

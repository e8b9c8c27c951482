//go:build race

package camera

const raceDetector = true

package vision

import (
	"cmp"
	"slices"
)

// IoU returns the area that two boxes share over the area that they cover
// together: 0 where they do not overlap, 1 where they are the same.
func IoU(a, b Box) float32 {
	w := float64(min(a.X1, b.X1)) - float64(max(a.X0, b.X0))
	h := float64(min(a.Y1, b.Y1)) - float64(max(a.Y0, b.Y0))
	if w <= 0 || h <= 0 || w != w || h != h {
		return 0
	}
	areaA := (float64(a.X1) - float64(a.X0)) * (float64(a.Y1) - float64(a.Y0))
	areaB := (float64(b.X1) - float64(b.X0)) * (float64(b.Y1) - float64(b.Y0))
	return float32(w * h / (areaA + areaB - w*h))
}

// NMS removes, class by class, every detection that overlaps a kept one of a
// higher score with an IoU above maxIoU, as cv2.dnn.NMSBoxes does. The rest come
// back by falling score, equal ones by class and then in their order in dets.
// It works in dets, whose elements change places, and allocates nothing.
func NMS(dets []Detection, maxIoU float32) []Detection {
	slices.SortStableFunc(dets, func(a, b Detection) int {
		if a.Class != b.Class {
			return cmp.Compare(a.Class, b.Class)
		}
		return cmp.Compare(b.Score, a.Score)
	})
	kept, first, class := 0, 0, 0 // dets[first:kept] are the kept ones of the class
	for i := range dets {
		if i == 0 || dets[i].Class != class {
			first, class = kept, dets[i].Class
		}
		keep := true
		for j := first; keep && j < kept; j++ {
			keep = !(IoU(dets[i].Box, dets[j].Box) > maxIoU)
		}
		if keep {
			// Swapped, not copied: each element owns the memory of its landmarks.
			dets[i], dets[kept] = dets[kept], dets[i]
			kept++
		}
	}
	dets = dets[:kept]
	slices.SortStableFunc(dets, func(a, b Detection) int { return cmp.Compare(b.Score, a.Score) })
	return dets
}

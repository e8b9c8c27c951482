// Package finetune will train a model further on the device: the reverse pass
// as graph nodes, losses, optimizers, a trainer and checkpoints.
//
// It holds nothing yet.
package finetune

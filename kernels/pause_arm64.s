#include "textflag.h"

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	ISB $15 // YIELD does nothing on most cores
	RET

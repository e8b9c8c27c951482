// Field offsets of the argument structs of package ref; TestArgOffsets checks
// them.

#define GemmF32_A 0
#define GemmF32_Zero 8
#define GemmF32_Offsets 16
#define GemmF32_W 24
#define GemmF32_C 32
#define GemmF32_Res 40
#define GemmF32_AStride 48
#define GemmF32_CStride 56
#define GemmF32_ResStride 64
#define GemmF32_K 88
#define GemmF32_Taps 96
#define GemmF32_Min 104
#define GemmF32_Max 108

#define DwconvF32_In 0
#define DwconvF32_Zero 8
#define DwconvF32_Offsets 16
#define DwconvF32_W 24
#define DwconvF32_Out 32
#define DwconvF32_OutStride 40
#define DwconvF32_WStride 48
#define DwconvF32_Pixels 56
#define DwconvF32_Taps 64
#define DwconvF32_C 72
#define DwconvF32_Min 80
#define DwconvF32_Max 84

#define PoolF32_In 0
#define PoolF32_Offsets 8
#define PoolF32_Scale 16
#define PoolF32_Out 24
#define PoolF32_OutStride 32
#define PoolF32_Pixels 40
#define PoolF32_Taps 48
#define PoolF32_C 56

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

#define WinogradInF32_In 0
#define WinogradInF32_Zero 8
#define WinogradInF32_Pixels 16
#define WinogradInF32_Out 24
#define WinogradInF32_Work 32
#define WinogradInF32_InStride 40
#define WinogradInF32_OutStride 48
#define WinogradInF32_PlaneStride 56
#define WinogradInF32_Tiles 64
#define WinogradInF32_C 72

#define WinogradOutF32_In 0
#define WinogradOutF32_Pixels 8
#define WinogradOutF32_Out 16
#define WinogradOutF32_Res 24
#define WinogradOutF32_Spare 32
#define WinogradOutF32_Work 40
#define WinogradOutF32_InStride 48
#define WinogradOutF32_PlaneStride 56
#define WinogradOutF32_OutStride 64
#define WinogradOutF32_ResStride 72
#define WinogradOutF32_Tiles 80
#define WinogradOutF32_C 88
#define WinogradOutF32_Min 96
#define WinogradOutF32_Max 100

#define GemmQ8_A 0
#define GemmQ8_ZeroA 8
#define GemmQ8_Offsets 16
#define GemmQ8_W 24
#define GemmQ8_C 32
#define GemmQ8_AStride 40
#define GemmQ8_CStride 48
#define GemmQ8_M 56
#define GemmQ8_N 64
#define GemmQ8_K 72
#define GemmQ8_Taps 80
#define GemmQ8_Min 88
#define GemmQ8_Max 92
#define GemmQ8_Zero 96
#define GemmQ8_Float 100

#define DwconvQ8_In 0
#define DwconvQ8_ZeroA 8
#define DwconvQ8_Offsets 16
#define DwconvQ8_W 24
#define DwconvQ8_Out 32
#define DwconvQ8_OutStride 40
#define DwconvQ8_Pixels 48
#define DwconvQ8_Taps 56
#define DwconvQ8_C 64
#define DwconvQ8_Min 72
#define DwconvQ8_Max 76
#define DwconvQ8_Zero 80
#define DwconvQ8_Float 84

#define PoolQ8_In 0
#define PoolQ8_Offsets 8
#define PoolQ8_Scale 16
#define PoolQ8_Out 24
#define PoolQ8_OutStride 32
#define PoolQ8_Pixels 40
#define PoolQ8_Taps 48
#define PoolQ8_C 56
#define PoolQ8_ZeroA 64
#define PoolQ8_Zero 68
#define PoolQ8_Min 72
#define PoolQ8_Max 76

#define BinaryU8_A 0
#define BinaryU8_B 4
#define BinaryU8_ZeroA 8
#define BinaryU8_ZeroB 12
#define BinaryU8_Zero 16
#define BinaryU8_Min 20
#define BinaryU8_Max 24

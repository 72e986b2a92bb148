/* The kernel: reads, finds and rewrites code of core modules, for programs that are not fast at it.

   An instance serves one call: memory is taken and never given back.  Every loop goes forward
   through its input, so a call ends; what is malformed is told in "failure", and nothing that lies
   outside of the input is read. */

#include "messages.h"
#include "read.h"
#include "heap.h"
#include "scan.h"
#include "write.h"
#include "draft.h"

__attribute__((export_name("take"))) u32 export_take(u32 n) { return (u32)take(n); }
__attribute__((export_name("table"))) u32 export_table(void) { return (u32)&table; }
__attribute__((export_name("failure"))) u32 export_failure(void) { return (u32)&failure; }
__attribute__((export_name("result"))) u32 export_result(void) { return (u32)&result; }
__attribute__((export_name("output"))) u32 export_output(void) { return (u32)&output; }

/* Valgrind's client requests as functions. Outside of valgrind they do nothing. */
#include <stddef.h>
#include <valgrind/memcheck.h>

int zqlite_on_valgrind(void) { return RUNNING_ON_VALGRIND != 0; }
size_t zqlite_count_errors(void) { return VALGRIND_COUNT_ERRORS; }
void zqlite_make_undefined(void *at, size_t len) { VALGRIND_MAKE_MEM_UNDEFINED(at, len); }
void zqlite_make_defined(void *at, size_t len) { VALGRIND_MAKE_MEM_DEFINED(at, len); }
int zqlite_get_vbits(const void *at, void *bits, size_t len) {
  return (int)VALGRIND_GET_VBITS(at, bits, len);
}

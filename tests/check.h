/* The whole test framework: CHECK, count, say what failed and where.
 *
 *     int main(void) { CHECK(1 + 1 == 2); return check_done(); }
 *
 * A program ends with 0 (passed), 1 (failed) or 77 (skipped: say why with check_skip).
 */
#ifndef EGO_TESTS_CHECK_H
#define EGO_TESTS_CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static int check_count, check_failed;

#define CHECK(cond) check_that((cond), #cond, __FILE__, __LINE__)
#define CHECK_OK(expr) check_err((expr), EGO_OK, #expr, __FILE__, __LINE__)
#define CHECK_ERR(code, expr) check_err((expr), (code), #expr, __FILE__, __LINE__)
#define CHECK_STR(got, want) check_str((got), (want), #got, __FILE__, __LINE__)
#define CHECK_NEAR(got, want, tolerance)                                                           \
    check_near((got), (want), (tolerance), #got, __FILE__, __LINE__)

static inline int check_that(int ok, const char *what, const char *file, int line) {
    check_count++;
    if (!ok) {
        check_failed++;
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    }
    return ok;
}

static inline int check_err(ego_err got, ego_err want, const char *what, const char *file, int line) {
    int ok = check_that(got == want, what, file, line);
    if (!ok)
        fprintf(stderr, "    expected '%s', found '%s': %s\n", ego_err_text(want), ego_err_text(got),
                ego_err_message());
    return ok;
}

static inline int check_str(const char *got, const char *want, const char *what, const char *file,
                            int line) {
    int ok = check_that(got && strcmp(got, want) == 0, what, file, line);
    if (!ok) fprintf(stderr, "    expected '%s', found '%s'\n", want, got ? got : "(null)");
    return ok;
}

static inline int check_near(double got, double want, double tolerance, const char *what,
                             const char *file, int line) {
    int ok = check_that(fabs(got - want) <= tolerance, what, file, line);
    if (!ok) fprintf(stderr, "    expected %.9g ± %.3g, found %.9g\n", want, tolerance, got);
    return ok;
}

static inline int check_skip(const char *why) {
    printf("skipped: %s\n", why);
    return 77;
}

static inline int check_done(void) {
    printf("%d checks, %d failed\n", check_count, check_failed);
    return check_failed ? 1 : 0;
}

#endif

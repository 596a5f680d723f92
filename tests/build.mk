# The tests, each folder with its own rules.
include $(wildcard tests/unit/build.mk tests/surface/build.mk tests/e2e/build.mk \
	tests/real/build.mk tests/bench/build.mk tests/registry-tools/build.mk tests/break/build.mk \
	tests/model/build.mk \
	tests/rollback/build.mk \
	tests/inspect/build.mk \
	tests/top/build.mk tests/packaging/build.mk \
	tests/advise/build.mk tests/chaos/build.mk)
include tests/coverage.mk tests/sanitize.mk
LINT_SH += tests/install-deps.sh

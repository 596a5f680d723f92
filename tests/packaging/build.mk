# Tests of what leaves the source tree: installation, completions, Debian packages.
DEPS_TEST += bash binutils git perl procps recutils systemd pkg-config python3 util-linux zsh

CHECKS += check-packaging
LINT_SH += $(wildcard tests/packaging/*.sh)
PACKAGING := completions install manuals release ways-in
# Pages whose examples are run.
EXAMPLES := man/lockctl.1 README.md

.PHONY: check-packaging $(PACKAGING:%=check-%) check-reproducible check-examples
check-packaging: $(PACKAGING:%=check-%) check-examples
check-ways-in: $(BUILD)/e2e/act
check-examples: all
	@$(REPORT) packaging examples='python3 tests/packaging/examples.py $(EXAMPLES)'
$(PACKAGING:%=check-%) check-reproducible: check-%: all
	@MAKE='$(MAKE)' CC=$(CC) $(REPORT) packaging $*=tests/packaging/$*.sh

# The Debian packages, into a fresh Debian of their own: minutes, and a mirror. And two builds in full,
# to see that they are the same.
.PHONY: check-packages check-servers deps-servers
check-packages: deb check-reproducible check-servers
	@$(REPORT) packaging debian=tests/packaging/debian.sh

# What doc/ways-in.md says of Apache and php-fpm, where they are; heavy, so no part of deps.
DEPS_SERVERS := apache2 libapache2-mod-php php-fpm
deps-servers:
	sh tests/install-deps.sh $(DEPS_SERVERS)
check-servers: all $(BUILD)/e2e/act
	@$(REPORT) packaging servers=tests/packaging/servers.sh

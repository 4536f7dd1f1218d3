# The commands of this project, by name. How things are built is in CMakeLists.txt, in which
# variants in CMakePresets.json.
.PHONY: build run test check hostile fuzz fuzz-long soak bench bench-quick format clean
.DEFAULT_GOAL := build
# Each target is a sequence; ninja and ctest share out the cores.
.NOTPARALLEL:

FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 60

build:                  ## the program, at build/freshet
	@scripts/install-deps.sh build
	@cmake --preset release >/dev/null
	@cmake --build build --target freshet

LISTEN ?= localhost:7070

run: build              ## starts it with its demos on localhost:7070 (LISTEN=localhost:7071), data in ./freshet-data
	@exec build/freshet serve --listen $(LISTEN) --config examples/freshet.yaml

node_modules := tests/e2e/node_modules/.package-lock.json

$(node_modules): tests/e2e/package.json tests/e2e/package-lock.json
	npm ci --prefix tests/e2e
	@touch $@

test:                   ## unit tests, corpora, lint, end to end: what a newcomer runs
	@scripts/install-deps.sh build test
	@$(MAKE) --no-print-directory $(node_modules)
	@cmake --preset release >/dev/null
	@cmake --build build
	@ctest --test-dir build -j6 -LE check --output-on-failure --no-tests=error --no-label-summary

check:                  ## what takes longer: sanitized builds, clang-tidy, faults, attacks, proxies, browsers
	@scripts/install-deps.sh build test check
	@$(MAKE) --no-print-directory $(node_modules)
	@for preset in release asan tsan; do \
	    cmake --preset $$preset >/dev/null || exit; \
	done
	@for tree in build build/asan build/tsan; do cmake --build $$tree || exit; done
	@ctest --test-dir build -j4 -L check --output-on-failure --no-tests=error --no-label-summary

hostile: build          ## attacks with strangers beside, in their long form; ATTACKS="pongs bombs" for some
	@scripts/install-deps.sh test
	@FRESHET_BIN=$(CURDIR)/build/freshet node tests/hostile/run.mjs --long $(ATTACKS)
	@[ -n "$(ATTACKS)" ] || FRESHET_BIN=$(CURDIR)/build/freshet node tests/hostile/webhooks_hang.mjs

fuzz:                   ## each fuzz target for FUZZ_SECONDS
	@scripts/install-deps.sh build test
	@cmake --preset fuzz >/dev/null
	@cmake --build build/fuzzers
	@scripts/fuzz.sh build/fuzzers/fuzz $(FUZZ_SECONDS)

fuzz-long:              ## the same for an hour each
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=3600

soak: build             ## mixed subscribers that come and go, for SOAK_SECONDS
	@scripts/install-deps.sh test
	@$(MAKE) --no-print-directory $(node_modules)
	@cd tests/e2e && FRESHET_BIN=$(CURDIR)/build/freshet SOAK_SECONDS=$(SOAK_SECONDS) \
	    node --test soak.test.mjs

bench bench-quick: build ## beside nchan, pushpin and bare loops; ROWS=cpu,flood for some of the rows, RESUME=1 to go on
	@scripts/install-deps.sh bench
	@cmake --build build --target bench_loops
	@node bench/run.mjs $(if $(ROWS),--rows $(ROWS)) $(if $(filter %-quick,$@),--quick) $(if $(RESUME),--resume)

format:                 ## src, fuzz and bench as lint wants them
	@scripts/install-deps.sh test
	@find $(wildcard src fuzz bench) -name '*.[ch]' -print0 | xargs -0r clang-format -i

clean:                  ## all that was built; never the data
	rm -rf build

#!/bin/sh
# tests/e2e/40_interop.sh - an interoperability matrix outside of this tree, if INTEROP names its matrix.py. INTEROP_ONLY:
# patterns of cell names (default: all that this program serves), INTEROP_CLIENT, INTEROP_SERVER: cgost (default) or gost=PATH.
[ -n "${INTEROP:-}" ] || { echo "INTEROP names no matrix.py" && exit 77; }
CGOST=${CGOST:?} && export CGOST
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
not_served='*mtls* *mws* *mwss* remote/* limit/* entry/sni entry/redirect* behave/idle35 behave/silent-client'
set -f && set --
for w in ${INTEROP_ONLY:-}; do set -- "$@" --only "$w"; done
for w in $not_served; do set -- "$@" --skip "$w"; done
set +f
python3 "$INTEROP" --client "${INTEROP_CLIENT:-cgost}" --server "${INTEROP_SERVER:-cgost}" --jobs "$(nproc)" --budget $((${E2E_SECONDS:-180} - 20)) \
	--json "$work/out.json" "$@"
python3 - "$work/out.json" <<'END'
import json, sys
cells = json.load(open(sys.argv[1]))["cells"]
failed = [c for c in cells if c["status"] == "fail" and not c.get("gost")]
for c in failed:
    print("FAIL", c["cell"], str(c.get("detail", ""))[:200])
print(sum(c["status"] == "pass" for c in cells), "passed,", len(failed), "failed")
sys.exit(bool(failed))
END

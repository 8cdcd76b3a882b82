# shellcheck shell=bash
# Sourced by a dispatcher: leases of CUDA devices. A lease is a lock (flock) on a file of this host, one per device.
# The caller sets $gpu, the number of devices per job, $state, a folder that lives as long as its jobs, and $stopped,
# true once no more jobs shall begin.

# The devices that jobs may lease, and the folder of their locks.
find_devices() {
  local device names
  devices=() leases=()
  command -v flock >/dev/null || usage_error "--gpu needs the command flock (of util-linux)"
  names="${CUDA_VISIBLE_DEVICES-$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null || true)}"
  for device in ${names//,/ }; do
    [[ $device == -* || " ${devices[*]-} " == *" $device "* ]] || devices+=("$device")
  done
  [ ${#devices[@]} -ge "$gpu" ] ||
    usage_error "--gpu $gpu, but the devices here are: ${names:-none} (CUDA_VISIBLE_DEVICES or else nvidia-smi)"
  locks="${SV_LOCK_DIR:-/tmp/sv_gpu_locks_$UID}"
  mkdir -p "$locks"
  [ -O "$locks" ] || usage_error "$locks belongs to another user; set SV_LOCK_DIR"
}

# Waits until $gpu devices are free, locks them and shows them to the job. The job inherits the locks, so the kernel
# gives each back when the last process that may use the device is gone, however it ends. $1 is the number of the job.
lease_devices() {
  local device fd gate mine=() waits=false
  while true; do
    exec {gate}>>"$locks/gate" # one chooses at a time: two that want two of two never hold one each
    flock "$gate"
    for device in "${devices[@]}"; do
      [ ${#mine[@]} -lt "$gpu" ] || break
      exec {fd}>>"$locks/${device//\//_}"
      if flock -n "$fd"; then mine+=("$device") leases+=("$fd"); else exec {fd}>&-; fi
    done
    exec {gate}>&-
    [ ${#mine[@]} -lt "$gpu" ] || break
    end_leases
    mine=()
    ! $stopped || exit 0
    $waits || echo "cmd_local.sh: job $1 waits for $gpu of the devices ${devices[*]}" >&2
    waits=true
    sleep 0.5
  done
  device="$(IFS=,; echo "${mine[*]}")"
  export CUDA_VISIBLE_DEVICES="$device" SV_LOCK_DIR="$state/locks.$1" # a dispatcher in the job shares these among its own
}

end_leases() {
  local fd
  for fd in ${leases[@]+"${leases[@]}"}; do exec {fd}>&-; done
  leases=()
}

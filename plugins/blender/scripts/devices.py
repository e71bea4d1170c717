"""Runs inside Blender: prints what Cycles can render on, a line for each."""

import bpy

print("zeus device: CPU", flush=True)
if "cycles" in bpy.context.preferences.addons:
    preferences = bpy.context.preferences.addons["cycles"].preferences
    for kind in ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI"):
        try:
            preferences.compute_device_type = kind
            (getattr(preferences, "refresh_devices", None) or preferences.get_devices)()
        except (TypeError, ValueError):
            continue
        for name in sorted(device.name for device in preferences.devices if device.type == kind):
            print(f"zeus device: {kind} {name}", flush=True)

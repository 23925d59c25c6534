"""The ML platform: load the settings, build the platform, publish its outputs."""

from components.outputs import PlatformOutputs
from components.platform import Platform
from components.settings import load

PlatformOutputs.publish(Platform(*load()).outputs)

"""The life of skills: birth under pressure, merge, distillation, retirement; each logged, measured, and able to be taken back."""

from builderbrain.train.lifecycle.config import SkillsSection
from builderbrain.train.lifecycle.windows import LifeWindows

__all__ = ["LifeWindows", "SkillsSection"]

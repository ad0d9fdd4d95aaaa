"""The life of skills: birth under pressure, merge, distillation, retirement; all logged, measured and reversible."""

from builderbrain.train.lifecycle.config import SkillsSection
from builderbrain.train.lifecycle.windows import LifeWindows

__all__ = ["LifeWindows", "SkillsSection"]

"""How people say what a clause depends on. The language of the tables: `builderbrain.train.spoken.templates`."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

from builderbrain.train.spoken import Templates

CONDITIONED = Templates("""
    ~{when}, {then}
    ~{when}, {then}
    ~{when} then {then}
    ~{when}, then {then}
    {then} {when}
    {then} {when}
    {then}, but only {when}
    {then}, but {when} only
    {then}, though only {when}
""")
"""A clause that depends on something: `{when}` begins with a word like "if"."""

OTHERWISE = Templates("""
    ~{when}, {then}, (otherwise|else|if not,|or else) {other}
    ~{when} then {then}, (otherwise|else) {other}
    ~{when}, {then}; (otherwise|if not,|else) {other}
    {then} {when}, (otherwise|else|if not,) {other}
    {then} {when} and {other} otherwise
""")
"""The same, with what is done where it is not so."""

_IF = "(if|if|if|when|in case|provided|provided that|as long as)"
CONDITIONS = {
    "if_hits": Templates(f"""
        {_IF} there are {{many}} (hits|matches|results|lines|places)
        {_IF} {{many}} (hits|matches|results|lines) (come up|turn up|are found)
        {_IF} you (find|get|see|have) {{many}} (hits|matches|results|of them|places)
        {_IF} (it|that) (is found|occurs|comes up) {{many}} times
    """),
    "if_found": Templates(f"""
        {_IF} (there is a hit|there is any hit|there are any hits|anything is found|anything comes up|something turns up|it is there|it occurs at all)
        {_IF} you (find|get|see) (anything|something|any hit|it)
    """),
    "if_none": Templates(f"""
        {_IF} (nothing|no line|no match|no hit) (is found|comes up|turns up|is there)
        {_IF} (there are no hits|there is no hit|there is nothing|there are no matches|it is nowhere)
        {_IF} you (find|get|see) (nothing|no hits|no match)
        unless (anything|something) (is found|comes up|turns up)
    """),
    "if_files": Templates(f"""
        {_IF} there are {{many}} (files|entries|files in it|of them)
        {_IF} (it|the folder|that) (has|holds|contains) {{many}} (files|entries)
        {_IF} you (see|find|get) {{many}} files
    """),
    "if_known": Templates(f"""
        {_IF} (there is an entry|there is a note|something is remembered|anything was noted|there is anything)
        {_IF} you (remember|recall|know|have noted) (anything|something|it|that)
    """),
    "if_unknown": Templates(f"""
        {_IF} (nothing is remembered|nothing was noted|there is no entry|there is no note|there is nothing)
        {_IF} you (remember|recall|know) nothing
        unless you (remember|recall|know) (anything|something|it)
    """),
    "if_failing": Templates(f"""
        {_IF} (they|the tests|any tests|some tests|some of them) (fail|are red|break|do not pass)
        {_IF} (any test|one|a test|any of them|something) (fails|is red|breaks|does not pass)
        {_IF} (there is a failure|there are failures|not all of them pass|it is red)
        unless (they|the tests|all tests|all of them) pass
    """),
    "if_failed": Templates(f"""
        {_IF} {{many}} (tests|of them|) (fail|are red|break)
        {_IF} there are {{many}} (failures|failing tests)
        {_IF} you (see|get|count) {{many}} failures
    """),
    "if_passing": Templates(f"""
        {_IF} (they|the tests|all tests|all of them) (pass|are green|work|run through|succeed)
        {_IF} (everything|it all|it) (passes|is green|works|runs through|succeeds)
        {_IF} (nothing|no test|none of them) fails
    """),
    "if_ill_typed": Templates(f"""
        {_IF} (there are type errors|there are errors|there is a type error|there is an error|there are any errors)
        {_IF} (the types are wrong|the types do not hold|a type is wrong|mypy complains|it finds errors|mypy finds anything)
        unless (the types are right|the types are fine|mypy is happy|the types hold)
    """),
    "if_type_errors": Templates(f"""
        {_IF} there are {{many}} (type errors|errors)
        {_IF} (it|mypy|the type checker) finds {{many}} (errors|type errors)
        {_IF} you (see|get|count) {{many}} errors
    """),
    "if_well_typed": Templates(f"""
        {_IF} (the types are right|the types are fine|the types hold|all types are right|mypy is happy)
        {_IF} (there is no type error|there are no errors|there are no type errors|no error is found|mypy finds nothing)
    """),
    "if_unclean": Templates(f"""
        {_IF} (there are faults|there is a fault|anything is wrong|something is wrong|a link is dead|any link is dead|they are not clean)
        {_IF} it finds (faults|a fault|anything|dead links)
        unless (they are clean|all is clean|the docs are clean)
    """),
    "if_faults": Templates(f"""
        {_IF} there are {{many}} (faults|faults in them|dead links)
        {_IF} it finds {{many}} (faults|dead links)
        {_IF} you (see|get|count) {{many}} faults
    """),
    "if_clean": Templates(f"""
        {_IF} (they are clean|the docs are clean|all is clean|nothing is wrong|all links work|there is no fault|there are no faults)
        {_IF} it finds (nothing|no faults|no fault)
    """),
    "if_applies": Templates(f"""
        {_IF} (it|the patch|that patch|the diff) (applies|would apply|fits|still applies|can be applied)
    """),
    "if_refused": Templates(f"""
        {_IF} (it|the patch|that patch|the diff) (does not apply|would not apply|does not fit|no longer applies|cannot be applied)
        unless (it|the patch|the diff) (applies|fits|would apply)
    """),
    "if_fixed": Templates(f"""
        {_IF} (that|it|the fix) (helped|worked|mended something|did it)
        {_IF} (something was mended|something was fixed|they were mended|they are mended)
    """),
    "if_unfixed": Templates(f"""
        {_IF} (that|it|the fix) (did not help|did not work|mended nothing|was no good)
        {_IF} (nothing was mended|nothing was fixed|they were not mended)
        unless (it|that) (helped|worked|mended something)
    """),
    "if_still_failing": Templates(f"""
        {_IF} {{many}} (tests|of them|) (still|then still|even then) fail
        {_IF} there are still {{many}} (failures|failing tests)
    """),
    "if_holds": Templates(f"""
        {_IF} (it|that|the claim|the identity) (holds|is true|is right|is proved|is an identity)
    """),
    "if_false": Templates(f"""
        {_IF} (it|that|the claim|the identity) (fails|is false|is wrong|is refuted)
    """),
    "if_undecided": Templates(f"""
        {_IF} (it|that|the claim) (is undecided|cannot be decided|stays open|is unknown)
    """),
    "if_right": Templates(f"""
        {_IF} {{many}} (goals|of the goals|of them|plans) (are|were|came out) right
        {_IF} it (gets|has|got) {{many}} (goals|of them|plans|) right
    """),
    "if_long": Templates(f"""
        {_IF} (it|the file|that file) has {{many}} lines
        {_IF} (it|the file) is {{many}} lines long
        {_IF} there are {{many}} lines in it
    """),
}
"""Of what was done last, by kind of condition; `{many}` is a number that something is compared with."""

FIRST_CONDITIONS = {
    "if_hits": Templates(f"""
        {_IF} {{many}} (lines|places) (mention|contain|have|say) {{pattern}}{{where}}
        {_IF} (there are|you find) {{many}} (hits|matches) for {{pattern}}{{where}}
        {_IF} {{pattern}} (occurs|comes up|is mentioned) {{many}} times{{where}}
    """),
    "if_found": Templates(f"""
        {_IF} (anything|something|any file|any line) (mentions|contains|has|uses) {{pattern}}{{where}}
        {_IF} {{pattern}} (occurs|comes up|is mentioned|is used) (anywhere|somewhere|at all|){{where}}
        {_IF} there is (any|some|) mention of {{pattern}}{{where}}
    """),
    "if_none": Templates(f"""
        {_IF} (nothing|no file|no line) (mentions|contains|has|uses) {{pattern}}{{where}}
        {_IF} {{pattern}} (does not occur|is not mentioned|is not used|never comes up){{where}}
        {_IF} there is no mention of {{pattern}}{{where}}
    """),
    "if_files": Templates(f"""
        {_IF} there are {{many}} files{{where}}
        {_IF} {{path}} (has|holds|contains) {{many}} (files|entries)
    """),
    "if_known": Templates(f"""
        {_IF} you (remember|recall|have noted) (anything|something) about {{query}}
        {_IF} there is (a note|an entry|anything) in (your|the) (memory|notes) about {{query}}
    """),
    "if_unknown": Templates(f"""
        {_IF} you (remember|recall|know) nothing about {{query}}
        {_IF} there is (no note|no entry|nothing) in (your|the) (memory|notes) about {{query}}
        unless you remember (anything|something) about {{query}}
    """),
    "if_failing": Templates(f"""
        {_IF} (the|any|some) tests{{where}} (fail|are red|break|do not pass)
        {_IF} (a|any|some) test{{where}} (fails|is red|breaks)
        unless (the|all) tests{{where}} pass
    """),
    "if_failed": Templates(f"""
        {_IF} {{many}} tests{{where}} (fail|are red|break)
        {_IF} there are {{many}} (failing|broken) tests{{where}}
    """),
    "if_passing": Templates(f"""
        {_IF} (the|all|all the) tests{{where}} (pass|are green|work|run through)
        {_IF} no test{{where}} fails
    """),
    "if_ill_typed": Templates(f"""
        {_IF} there (are|are any) type errors{{where}}
        {_IF} (the types|any types){{where}} are wrong
        unless the types{{where}} are (right|fine)
    """),
    "if_type_errors": Templates(f"""
        {_IF} there are {{many}} type errors{{where}}
        {_IF} mypy finds {{many}} errors{{where}}
    """),
    "if_well_typed": Templates(f"""
        {_IF} the types{{where}} are (right|fine|sound|correct)
        {_IF} there (are|is) no type (errors|error){{where}}
    """),
    "if_unclean": Templates(f"""
        {_IF} there are (dead links|broken links|faults in the docs|odd headings){{where}}
        {_IF} (a|any) link{{where}} is (dead|broken)
        unless the docs{{where}} are clean
    """),
    "if_faults": Templates(f"""
        {_IF} there are {{many}} (dead links|faults in the docs|broken links){{where}}
    """),
    "if_clean": Templates(f"""
        {_IF} the (docs|documentation|Markdown files){{where}} are clean
        {_IF} there are no (dead links|broken links|faults in the docs){{where}}
        {_IF} all links{{where}} work
    """),
    "if_applies": Templates(f"""
        {_IF} the (patch|diff) {{path}} (applies|would apply|fits|still applies)
    """),
    "if_refused": Templates(f"""
        {_IF} the (patch|diff) {{path}} (does not apply|would not apply|does not fit|no longer applies)
        unless the (patch|diff) {{path}} applies
    """),
    "if_holds": Templates(f"""
        {_IF} {{claim}} (holds|is true|is right|is an identity)
        {_IF} you can prove (that|) {{claim}}
    """),
    "if_false": Templates(f"""
        {_IF} {{claim}} (fails|is false|is wrong|is refuted)
        {_IF} you can refute {{claim}}
    """),
    "if_long": Templates(f"""
        {_IF} {{path}} has {{many}} lines
        {_IF} there are {{many}} lines in {{path}}
    """),
}
"""The same of what has to be done first, which they name."""

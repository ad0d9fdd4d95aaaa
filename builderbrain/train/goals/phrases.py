"""How people word a step: templates with {x} for a pattern, {f} for a file, {d} for a folder.

Two registers per action: commands, which can stand anywhere in a sentence ("find X"), and questions, which open one
("where is X used"). Decorations around a name ("the file", quotes) are chosen by `generate.py`.
"""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

SEARCH = """
search for {x};find {x};look for {x};grep {x};grep for {x};search {x};locate {x};scan for {x};look up {x};seek {x};hunt for {x};
hunt down {x};track down {x};query for {x};dig up {x};find all mentions of {x};find every mention of {x};find all uses of {x};
find usages of {x};search for occurrences of {x};find references to {x};find where {x} is used;find where {x} is defined;
find out where {x} is;find out where {x} comes up;look for anything about {x};find anything on {x};search the repo for {x};
search the code for {x};search everything for {x};search the whole project for {x};grep the code base for {x};
look through the files for {x};go through the code for {x};check where {x} appears;check whether {x} appears anywhere;
see where {x} occurs;see if {x} is mentioned;show me where {x} is used;show me all places with {x};show me every line with {x};
show me matches for {x};tell me where {x} is;tell me which files mention {x};get me all hits for {x};give me every place with {x};
run a search for {x};do a search for {x};make a search for {x};start a search for {x};list all matches of {x};
try to find {x};have a look for {x};take a look for {x};dig through the code for {x};sift through the files for {x};
point me to {x};point me at the code for {x};figure out where {x} lives;pin down {x};spot {x};discover where {x} is;
learn where {x} is used;collect all occurrences of {x};enumerate the uses of {x};
"""
SEARCH_QUESTIONS = """
where is {x};where is {x} defined;where is {x} used;where do we use {x};where do we mention {x};where does {x} appear;
where does {x} come up;where does {x} live;where can I find {x};where did we put {x};where have we used {x};where are {x};
which files mention {x};which files contain {x};which files use {x};which file has {x};which file defines {x};what files talk about {x};
what mentions {x};what uses {x};who uses {x};who calls {x};is {x} mentioned anywhere;is {x} used anywhere;is there any mention of {x};
is there anything about {x};are there any references to {x};do we have {x} anywhere;do we mention {x};does anything use {x};
does {x} show up anywhere;any idea where {x} is;any mention of {x};anything about {x};in which file is {x};how often does {x} occur;
"""
READ = """
open {f};read {f};show {f};show me {f};display {f};print {f};print out {f};cat {f};view {f};load {f};bring up {f};pull up {f};
call up {f};dump {f};look at {f};look into {f};look inside {f};take a look at {f};have a look at {f};peek into {f};peek at {f};
let me see {f};let me read {f};let me look at {f};let me have {f};give me {f};get me {f};fetch {f};open up {f};
show the contents of {f};show me the contents of {f};print the contents of {f};give me the contents of {f};
read out {f};read through {f};read me {f};go through {f};inspect {f};examine {f};check {f};review {f};study {f};
show me what is in {f};show me what {f} says;tell me what {f} says;tell me what is in {f};see what {f} says;see what is in {f};
put {f} on screen;throw {f} on the screen;present {f};output {f};retrieve {f};
"""
READ_QUESTIONS = """
what does {f} say;what is in {f};what does {f} contain;what is written in {f};what stands in {f};can I see {f};may I see {f};
can I read {f};can I have a look at {f};what's in {f};what's inside {f};what is inside {f};how does {f} look;
"""
LIST = """
list {d};ls {d};list the files in {d};list the contents of {d};list all files in {d};list everything in {d};list what is in {d};
show the files in {d};show me the files in {d};show me what is in {d};show what is in {d};show me what {d} contains;
name the files in {d};enumerate {d};enumerate the files in {d};browse {d};print the files in {d};display the files in {d};
give me the files in {d};give me a listing of {d};get a listing of {d};get me a list of {d};make a list of {d};
see what is in {d};see what lies in {d};check what is in {d};tell me what is in {d};tell me what files are in {d};
tell me which files {d} has;look at what is in {d};dir {d};do an ls of {d};run through the files in {d};
"""
LIST_QUESTIONS = """
what is in {d};what files are in {d};what files does {d} have;which files are in {d};which files does {d} hold;what lies in {d};
what's in {d};what do we have in {d};what do we keep in {d};what is there in {d};which files live in {d};what does {d} contain;
"""
LIST_ROOT = """
list;ls;list the files;list files;list all files;list everything;list everything here;list the root;list this folder;list this directory;
list the files here;list the repository;list the repo;list the project;show the files;show me the files;show me all files;
show me what is here;see what is here;show me what files there are;list the root folder;list the top folder;list the working directory;
list the current directory;list the current folder;name the files;name the files here;browse the root;browse the repository;
give me a listing;give me a list of the files;get a directory listing;tell me what files there are;tell me what is here;
show the root folder;show me the root directory;list what is here;list the top level;show me the top level;enumerate the files;
"""
LIST_ROOT_QUESTIONS = """
what files are there;which files are there;what files are here;what is here;what is in this folder;what is in this repository;
what do we have here;what's here;what is in the root;what is in the repo;which files do we have;what files do we have;
what files are in this project;what is at the top level;what's in this directory;
"""
OPEN_SEARCH = """
open it;read it;show it;show it to me;show me it;display it;print it;view it;open that;read that;open that file;read that file;
open the file;read the file;show me the file;show me that file;open the match;read the match;open the hit;read the hit;open the result;
read the result;show me the result;show me the match;show me the hit;open the first match;open the first hit;open the first result;
open the first one;read the first one;read the first match;read the first hit;show me the first hit;show me the first match;
open the top hit;read the top match;open the top result;show me the top one;open the best match;read the best hit;
open whatever you find;read what you find;open what comes up;open what turns up;open the file that has it;open where it is;
open the file it is in;read the file it is in;read the file that mentions it;bring it up;pull it up;pull up the first hit;
let me see it;let me read it;let me see the file;display the first hit;print the first match;cat it;cat the first match;
look at it;look inside;take a look at it;look at the first one;open the one you find;view the first result;give me the file;
"""
OPEN_LIST = """
open the first one;read the first one;open the first file;read the first file;show me the first file;show the first one;
open the first;read the first;display the first file;print the first file;view the first one;open the top one;read the top file;
open the first entry;read the first entry;cat the first one;show me the first entry;look at the first file;pull up the first one;
"""
OPEN_LAST = """
open the last one;read the last one;open the last;read the last;show me the last one;display the last one;print the last one;
open the final one;read the final one;view the last one;show the last one;cat the last one;look at the last one;pull up the last one;
"""
OPEN_LAST_SEARCH = """
open the last match;read the last match;open the last hit;read the last hit;open the last result;read the last result;
show me the last hit;show me the last match;open the bottom hit;open the final match;display the last match;print the last hit;
"""
OPEN_LAST_LIST = """
open the last file;read the last file;show me the last file;open the last entry;read the last entry;display the last file;
print the last file;view the last file;open the final file;open the bottom one;
"""


def templates(text: str) -> tuple[str, ...]:
    """Split a block of templates at semicolons."""
    return tuple(part.strip() for part in text.replace("\n", " ").split(";") if part.strip())

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
scour the repo for {x};scour the code for {x};comb through everything for {x};comb the files for {x};rummage for {x};ferret out {x};
root out {x};fish for {x};sniff out {x};trace {x};trace where {x} is;identify the files with {x};identify every file that has {x};
filter the code for {x};match {x};get hits for {x};get the places of {x};get me everything about {x};fetch every line with {x};
bring me to {x};lead me to {x};take me to {x};jump to {x};go to where {x} is;go and get {x};go looking for {x};go searching for {x};
pull up every place with {x};bring up all places that say {x};turn up {x};bring {x} to light;uncover {x};unearth {x};detect {x};
check for {x};check if there is {x};check the code for {x};check the project for traces of {x};verify that {x} is somewhere;
make sure that {x} is somewhere;explore the code for {x};examine the code for {x};inspect everything for {x};crawl the files for {x};
run grep on {x};do a grep for {x};do a lookup of {x};do a quick search for {x};perform a search for {x};carry out a search for {x};
issue a query for {x};query the repo for {x};use search to find {x};use grep to get {x};apply a search for {x};
try a search for {x};attempt to locate {x};see about {x};see what there is on {x};see what comes up for {x};see what turns up for {x};
say where {x} is;say which file has {x};name the files with {x};name every place of {x};print the lines with {x};
print every match of {x};display all hits for {x};display where {x} is;output every line that has {x};count on {x} being somewhere and find it;
show matches of {x};show hits for {x};show the places with {x};show lines with {x};show what says {x};show which files talk of {x};
tell me the places of {x};tell me if {x} is in there;tell me everything on {x};tell me about uses of {x};let me know where {x} is;
let me know which files have {x};let me find {x};let me look for {x};let me search for {x};give me hits for {x};give me the lines with {x};
give me all you have on {x};help me find {x};help me locate {x};help me track {x};determine where {x} is;determine which files use {x};
establish where {x} comes from;work out where {x} is;research {x};investigate where {x} occurs;find me {x};find me the spot with {x};
find some {x};find the place of {x};find the code for {x};find the definition of {x};find the file with {x};find files that have {x};
find files containing {x};find lines that say {x};find whatever mentions {x};find everything that uses {x};find traces of {x};
search for any {x};search for places with {x};search for files that mention {x};search for lines with {x};search all files for {x};
search around for {x};search everywhere for {x};search the files for {x};search through the code for {x};search this repo for {x};
look around for {x};look everywhere for {x};look in the code for {x};look through everything for {x};look for the code of {x};
look for files with {x};look for lines with {x};look for traces of {x};look for uses of {x};look for wherever {x} is;
"""
SEARCH_QUESTIONS = """
where is {x};where is {x} defined;where is {x} used;where do we use {x};where do we mention {x};where does {x} appear;
where does {x} come up;where does {x} live;where can I find {x};where did we put {x};where have we used {x};where are {x};
which files mention {x};which files contain {x};which files use {x};which file has {x};which file defines {x};what files talk about {x};
what mentions {x};what uses {x};who uses {x};who calls {x};is {x} mentioned anywhere;is {x} used anywhere;is there any mention of {x};
is there anything about {x};are there any references to {x};do we have {x} anywhere;do we mention {x};does anything use {x};
does {x} show up anywhere;any idea where {x} is;any mention of {x};anything about {x};in which file is {x};how often does {x} occur;
where might {x} be;where could {x} be;where would I find {x};where should I look for {x};where did {x} go;where has {x} gone;
where else is {x};where exactly is {x};where in the code is {x};where in this project is {x};where is the code for {x};where is the {x} thing;
where do you see {x};where do we have {x};where do we call {x};where do we define {x};where do we set {x};where do they use {x};
where does it say {x};where does the code mention {x};where was {x} put;where was {x} written;where will I find {x};where can one see {x};
what file has {x};what file is {x} in;what places have {x};what lines have {x};what code uses {x};what refers to {x};what talks about {x};
what contains {x};what calls {x};which file is {x} in;which lines say {x};which code calls {x};which part uses {x};which places mention {x};
which of the files have {x};who mentions {x};who wrote about {x};who refers to {x};in which files is {x};in what file is {x};
on which line is {x};is {x} in here;is {x} somewhere;is {x} in any file;is {x} defined somewhere;is there {x} anywhere;is there a {x};
is there some {x} in the code;are there uses of {x};are there places with {x};does {x} exist;does {x} occur anywhere;does the code use {x};
does any file mention {x};do any files have {x};do we use {x} at all;do we still use {x};do we say {x} anywhere;did anyone mention {x};
has anybody used {x};have you seen {x};have we got {x};how do I find {x};how can I get to {x};can you see {x} anywhere;could {x} be somewhere;
do you know where {x} is;do you know which file has {x};any trace of {x};any hits for {x};any sign of {x};any file with {x};
"""
READ = """
open {f};read {f};show {f};show me {f};display {f};print {f};print out {f};cat {f};view {f};load {f};bring up {f};pull up {f};
call up {f};dump {f};look at {f};look into {f};look inside {f};take a look at {f};have a look at {f};peek into {f};peek at {f};
let me see {f};let me read {f};let me look at {f};let me have {f};give me {f};get me {f};fetch {f};open up {f};
show the contents of {f};show me the contents of {f};give me the contents of {f};
read out {f};read through {f};read me {f};go through {f};inspect {f};examine {f};check {f};review {f};study {f};
show me what is in {f};show me what {f} says;tell me what {f} says;tell me what is in {f};see what {f} says;see what is in {f};
put {f} on screen;throw {f} on the screen;present {f};output {f};retrieve {f};
open the contents of {f};open {f} for me;get {f} open;get {f} up;get {f} on screen;get the contents of {f};get the text of {f};
get what is in {f};get a look at {f};grab {f};grab the contents of {f};bring me {f};bring {f} up;bring {f} on screen;hand me {f};
pass me {f};pull {f} up;pull {f};pull out {f};pop open {f};crack open {f};unfold {f};unroll {f};reveal {f};reveal what is in {f};
show the text of {f};show what is in {f};show what {f} holds;show what {f} says;show me all of {f};show me the whole of {f};
show me the text of {f};show me the inside of {f};show me the code in {f};show me everything in {f};show me how {f} looks;
display the contents of {f};display the text of {f};display what is in {f};display all of {f};print all of {f};print the text of {f};
print what is in {f};print the whole {f};output the contents of {f};echo {f};type {f};type out {f};spit out {f};list the lines of {f};
read the contents of {f};read the text of {f};read the whole of {f};read all of {f};read aloud {f};read what is in {f};
read what {f} says;read in {f};read over {f};see {f};see the contents of {f};see inside {f};see the inside of {f};see how {f} looks;
look over {f};look through {f};look up what {f} says;take a peek at {f};take a peek into {f};take me to {f};take a look inside {f};
have a peek at {f};have a read of {f};have {f} opened;go to {f};go into {f};go over {f};go and open {f};go and read {f};jump into {f};
dive into {f};step into {f};browse through {f};scan through {f};skim {f};skim through {f};flip through {f};leaf through {f};
check out {f};check the contents of {f};check what {f} says;check what is in {f};check inside {f};inspect the contents of {f};
examine the contents of {f};explore {f};investigate {f};analyse {f};load up {f};load the contents of {f};import {f} into view;
call {f} up;render {f};visualise {f};preview {f};tell me the contents of {f};tell me what {f} contains;tell me what stands in {f};
tell me everything in {f};let me view {f};let me check {f};let me inspect {f};let me open {f};let me see what {f} says;
let me see what is in {f};let me see the contents of {f};give me the text of {f};give me all of {f};give me a look at {f};
give me what is in {f};give out {f};help me read {f};find out what {f} says;find out what is in {f};learn what {f} says;
use read on {f};use cat on {f};run cat on {f};do a cat of {f};do a read of {f};perform a read of {f};
"""
READ_QUESTIONS = """
what does {f} say;what is in {f};what does {f} contain;what is written in {f};what stands in {f};can I see {f};may I see {f};
can I read {f};can I have a look at {f};what's in {f};what's inside {f};what is inside {f};how does {f} look;
what is written inside {f};what do we have in {f};what text is in {f};what code is in {f};what is the content of {f};
what are the contents of {f};what lines are in {f};what can I find in {f};what stands inside {f};what does the inside of {f} look like;
what is there in {f};what have we got in {f};what do you see in {f};how does {f} read;how does {f} go;can you open {f};can I get {f};
could I see {f};could I have {f};could I look at {f};might I see {f};may I read {f};may I look into {f};is there anything in {f};
do you have the contents of {f};would you show {f};will you open {f};
"""
LIST = """
list {d};ls {d};list the files in {d};list the contents of {d};list all files in {d};list everything in {d};list what is in {d};
show the files in {d};show me the files in {d};show me what is in {d};show what is in {d};show me what {d} contains;
name the files in {d};enumerate {d};enumerate the files in {d};browse {d};print the files in {d};display the files in {d};
give me the files in {d};give me a listing of {d};get a listing of {d};get me a list of {d};make a list of {d};
see what is in {d};see what lies in {d};check what is in {d};tell me what is in {d};tell me what files are in {d};
tell me which files {d} has;look at what is in {d};dir {d};do an ls of {d};run through the files in {d};
list the insides of {d};list files under {d};list files in {d};list all of {d};list the entries of {d};list the items in {d};
list what {d} has;list what {d} holds;list what lies in {d};list whatever is in {d};list each file in {d};list the directory {d} for me;
show files in {d};show the contents of {d};show the entries of {d};show all files in {d};show everything in {d};show what {d} has;
show me {d} and its files;show me the contents of {d};show me everything in {d};show me all that is in {d};show me what files {d} has;
show me which files are in {d};show me what lies in {d};show me what sits in {d};show me the entries of {d};
display what is in {d};display the contents of {d};display the entries of {d};display all files in {d};
print the entries of {d};print a listing of {d};print what is in {d};output the files in {d};name what is in {d};name all files in {d};
name everything in {d};name the entries of {d};enumerate the contents of {d};enumerate what is in {d};enumerate everything in {d};
browse the files in {d};browse through {d};browse the contents of {d};walk through {d};walk the files of {d};go through the files in {d};
go through {d} and list it;look inside {d};look around in {d};look into the {d} folder;look through the files in {d};take a look inside {d};
take a look around {d};have a look around {d};peek into the files of {d};peek around {d};explore {d};explore the files in {d};
check the contents of {d};check which files are in {d};check what files {d} has;check what lies in {d};inspect the contents of {d};
inspect the files in {d};see the files in {d};see the contents of {d};see all files in {d};see which files are in {d};
see what files are in {d};see what {d} has;find out what is in {d};find out which files are in {d};find out what files {d} has;
get the files in {d};get the contents of {d};get me the files in {d};get me the contents of {d};get me a listing of {d};
get what is in {d};give me the contents of {d};give me a list of {d};give me all files in {d};give me everything in {d};
give me the names of the files in {d};give me an overview of {d};give an overview of {d};make an inventory of {d};take stock of {d};
tell me the contents of {d};tell me what lies in {d};tell me what we have in {d};tell me what {d} contains;tell me what {d} has;
tell me the names of the files in {d};let me see the files in {d};let me see what is in {d};let me look into the {d} folder;
let me know what is in {d};read the names of the files in {d};run ls on {d};run ls in {d};use list on {d};do a listing of {d};
do ls {d};perform a listing of {d};tree {d};index {d};index the files in {d};survey {d};catalogue {d};
"""
LIST_QUESTIONS = """
what is in {d};what files are in {d};what files does {d} have;which files are in {d};which files does {d} hold;what lies in {d};
what's in {d};what do we have in {d};what do we keep in {d};what is there in {d};which files live in {d};what does {d} contain;
what can I find in {d};what is inside {d};what's inside {d};what sits in {d};what lives in {d};what do you see in {d};what all is in {d};
what else is in {d};what things are in {d};what items are in {d};what stuff is in {d};what files live in {d};what files lie in {d};
what files can I find in {d};what files do we have in {d};what are the files in {d};what are the contents of {d};what is the content of {d};
what does {d} hold;what does {d} have;what does the inside of {d} look like;what did we put in {d};
which files do we have in {d};which files does {d} have;which files are under {d};which files lie in {d};
which things are in {d};which entries does {d} have;how does {d} look inside;how is {d} filled;how many files are in {d};
are there files in {d};is there anything in {d};can I see the files in {d};can you show what is in {d};could I see what is in {d};
may I see the contents of {d};do we have anything in {d};
"""
LIST_ROOT = """
list;ls;list the files;list files;list all files;list everything;list everything here;list the root;list this folder;list this directory;
list the files here;list the repository;list the repo;list the project;show the files;show me the files;show me all files;
show me what is here;see what is here;show me what files there are;list the root folder;list the top folder;list the working directory;
list the current directory;list the current folder;name the files;name the files here;browse the root;browse the repository;
give me a listing;give me a list of the files;get a directory listing;tell me what files there are;tell me what is here;
show the root folder;show me the root directory;list what is here;list the top level;show me the top level;enumerate the files;
show what is here;show everything;show everything here;show the root;show the top level;show the whole folder;show files;show me everything;
show me the files here;show me what we have;show me what you have;show me the root;show me this folder;show me the project;
show me the repository;show me the directory;print the files;print the root folder;print what is here;print a listing;
display the files;display everything;display the root folder;display what is here;display the top folder;see the files;see everything here;
look around;look around here;look at what is here;take a look around;have a look around;explore the root;explore the repository;
walk the root;browse the project;browse this folder;browse everything;check what is here;check which files are here;find out what is here;
get the files;get me the files;get me a listing;get a list of files;get all files;get what is here;give me the files;give me all files;
give me everything here;give me an overview;give me an overview of the repo;give me the names of the files;give me the root folder;
tell me which files there are;tell me what we have;tell me what is in this folder;tell me what this project holds;
tell me the names of all files;let me see the files;let me see what is here;let me see everything;let me see the root;
name everything here;name all files;enumerate everything;enumerate what is here;enumerate the root;run ls;do an ls;do a listing;
use list;make a listing;make a list of the files;list whatever is here;list whatever there is;list all there is;list what we have;
list what you have;list files here;list files in this folder;list files in the root;list things;list the whole project;list the top;
list the base folder;list the main folder;list the home folder of the project;list this repo;list it all;list all;dir;
"""
LIST_ROOT_QUESTIONS = """
what files are there;which files are there;what files are here;what is here;what is in this folder;what is in this repository;
what do we have here;what's here;what is in the root;what is in the repo;which files do we have;what files do we have;
what files are in this project;what is at the top level;what's in this directory;
what have we got here;what have we here;what do you have here;what do you see here;what can I see here;what is there;what is around here;
what is in here;what is in this project;what is in this directory;what is in the project;what is in the top folder;what's in here;
what's in this folder;what's in the repo;what's in the project;what's around;what files exist;what files do you have;what files do you see;
what files are in here;what files are in this folder;what files are in the root;what files live here;what is all here;
which files exist;which files are in here;which files do you see;which files are in this repo;which files are at the top;
which files does this project have;how does the root look;how does this folder look;how is this repo laid out;can I see the files;
can I see what is here;can you show the files;could I see everything here;are there files here;do we have files here;
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
open the first place;open that place;open the place;open the spot;open the find;open what you found;open what you get;open what it finds;
open what that gives;open what you have found;open the one that matches;open the matching file;open the file with it;open the file that says so;
open the file you find;open the file it finds;open the file where it is;open the file where it stands;open the found file;
open the first file with it;open the first file that has it;open the first of them;open the first of those;open one of them, the first;
open whichever comes first;open whatever comes first;open whichever file has it;open wherever it is;open the best one;open the topmost hit;
read that one;read that result;read that match;read the find;read the found file;read the file you find;read the file where it is;
read the file with it;read the matching file;read what comes up;read what turns up;read whatever comes up;read the first result;
read the first of them;read the first file;read the top result;read the best match;read me the match;read me the first one;
show that;show that one;show that file;show the file;show the match;show the hit;show the result;show the first one;show the first match;
show the first result;show what you find;show what you found;show what comes up;show me that;show me that one;show me what you find;
show me what you found;show me what comes up;show me the file;show me the file it is in;show me the first result;show me the first file;
show me the first one;show me the find;show me the best match;show me the top result;show me whatever you find;
display that;display that file;display the match;display the result;display what you find;display the top hit;display it to me;
print that;print that file;print the file;print the hit;print the first hit;print what you find;print it out;print out the match;
view that;view that file;view the file;view the match;view the first hit;view the first match;look at that;look at that file;
look at the match;look at the first match;look at the first hit;look at what you find;look into it;look into that file;look inside it;
look inside that file;take a look;take a look inside;take a look at that;take a look at the match;take a peek at it;have a look at it;
have a look at that file;have a look inside;peek into it;go into it;go there;go to it;go to that file;go to the first match;jump there;
jump to it;jump to the first hit;jump into the file;dive into it;step into it;get it;get that file;get me that file;get me it;
get me the file;get it on screen;get its contents;fetch it;fetch that file;fetch the match;grab it;grab that file;hand me the file;
bring that up;bring up the file;bring up the match;bring up the first hit;pull that up;pull up the file;pull up the match;pull it up for me;
call it up;load it;load that file;load the match;dump it;dump that file;dump the match;give me it;give me that file;give me the match;
give me the contents;give me its contents;give me the first hit;let me look at it;let me look inside;let me have it;let me have the file;
let me see that;let me see that file;let me see the match;let me see what you find;let me see the first hit;let me read that;
let me read the file;let me view it;let me open it;check it out;check that file;inspect it;inspect the match;examine it;examine the file;
review it;study it;tell me what it says;tell me what that file says;tell me what is in it;tell me what is in the file;see what it says;
see what is in it;see what that file says;put it on screen;put that on screen;throw it on the screen;cat that;cat that file;cat the match;
"""
OPEN_LIST = """
open the first one;read the first one;open the first file;read the first file;show me the first file;show the first one;
open the first;read the first;display the first file;print the first file;view the first one;open the top one;read the top file;
open the first entry;read the first entry;cat the first one;show me the first entry;look at the first file;pull up the first one;
open the file at the top;open the first thing;open the first item;open whichever is first;open whatever is first;open the first of them;
open the first of those;open the first in the list;open the first file you see;open the first file there;open the first file in it;
open number one;open the one at the top;open the topmost;open the topmost file;open the top entry;open the leading one;
read the first thing;read the first item;read the first file there;read the first of them;read the first in the list;read number one;
read the one at the top;read the top one;read the top entry;read me the first one;read me the first file;show me the first;
show me the first one;show me the first thing;show me the first item;show me the first of them;show me the top one;show me the top file;
show me number one;show me the first file there;show the first;show the first file;show the first entry;show the top file;
display the first;display the first one;display the first entry;display the top one;display the top file;print the first;print the first one;
print the first entry;print the top one;print the top file;view the first;view the first file;view the first entry;view the top one;
look at the first file;look at the first entry;look at the first;look at the top one;look into the first one;look into the first file;
look inside the first one;take a look at the first one;take a look at the first file;have a look at the first one;peek at the first file;
get the first one;get the first file;get me the first one;get me the first file;fetch the first one;fetch the first file;grab the first file;
bring up the first one;bring up the first file;pull up the first file;pull up the top one;load the first one;load the first file;
dump the first one;dump the first file;give me the first one;give me the first file;give me the top one;let me see the first one;
let me see the first file;let me read the first one;let me read the first file;let me look at the first file;check the first one;
check the first file;inspect the first file;examine the first one;go into the first one;go into the first file;jump into the first file;
tell me what the first one says;tell me what is in the first one;see what the first one says;see what is in the first file;
cat the first;cat the first file;cat the top one;put the first one on screen;
"""
OPEN_LAST = """
open the last one;read the last one;open the last;read the last;show me the last one;display the last one;print the last one;
open the final one;read the final one;view the last one;show the last one;cat the last one;look at the last one;pull up the last one;
open the one at the end;open the one at the bottom;open the last of them;open the last of those;open the last thing;open the last in the list;
open whichever is last;open whatever comes last;open the very last one;open the bottommost;open the lowest one;open the ending one;
read the one at the bottom;read the one at the end;read the last of them;read the last thing;read the very last one;read the bottom one;
read the final one;read me the last one;show me the last;show me the last of them;show me the last thing;show me the bottom one;
show me the final one;show me the one at the end;show the last;show the final one;show the bottom one;display the last;display the final one;
display the bottom one;print the last;print the final one;print the bottom one;view the last;view the final one;look at the last;
look at the final one;look at the bottom one;look into the last one;look inside the last one;take a look at the last one;
have a look at the last one;peek at the last one;get the last one;get me the last one;fetch the last one;grab the last one;
bring up the last one;bring up the final one;pull up the final one;load the last one;dump the last one;give me the last one;
give me the final one;let me see the last one;let me read the last one;let me look at the last one;check the last one;inspect the last one;
go into the last one;jump to the last one;tell me what the last one says;see what the last one says;cat the last;put the last one on screen;
"""
OPEN_LAST_SEARCH = """
open the last match;read the last match;open the last hit;read the last hit;open the last result;read the last result;
show me the last hit;show me the last match;open the bottom hit;open the final match;display the last match;print the last hit;
open the last place;open the last file with it;open the last of the hits;open the last of the matches;open the lowest hit;open the bottom match;
open the bottom result;open the final hit;open the final result;read the bottom hit;read the final match;read the final hit;
read me the last hit;show the last match;show the last hit;show the last result;show me the last result;show me the final match;
show me the final hit;show me the bottom hit;display the last hit;display the last result;display the final match;print the last match;
print the last result;view the last hit;view the last match;view the last result;look at the last hit;look at the last match;
look at the last result;look into the last match;take a look at the last hit;take a look at the last match;get the last hit;get me the last match;
fetch the last hit;bring up the last hit;bring up the last match;pull up the last hit;pull up the last match;load the last match;
give me the last hit;give me the last match;give me the last result;let me see the last hit;let me see the last match;let me read the last hit;
check the last hit;inspect the last match;go to the last hit;jump to the last match;cat the last match;dump the last hit;
"""
OPEN_LAST_LIST = """
open the last file;read the last file;show me the last file;open the last entry;read the last entry;display the last file;
print the last file;view the last file;open the final file;open the bottom one;
open the last item;open the last thing there;open the last file there;open the last file in it;open the last file you see;open the bottom file;
open the bottom entry;open the final entry;open the final file in it;read the last item;read the last file there;read the bottom file;
read the final file;read the final entry;read me the last file;show the last file;show the last entry;show me the last entry;
show me the last item;show me the final file;show me the bottom file;show me the last file there;display the last entry;display the final file;
display the bottom file;print the last entry;print the final file;view the last entry;view the final file;look at the last file;
look at the last entry;look into the last file;look inside the last file;take a look at the last file;have a look at the last file;
peek at the last file;get the last file;get me the last file;fetch the last file;grab the last file;bring up the last file;
pull up the last file;load the last file;dump the last file;give me the last file;let me see the last file;let me read the last file;
check the last file;inspect the last file;examine the last file;go into the last file;tell me what the last file says;
tell me what is in the last file;see what the last file says;cat the last file;put the last file on screen;
"""


def templates(text: str) -> tuple[str, ...]:
    """Split a block of templates at semicolons."""
    return tuple(part.strip() for part in text.replace("\n", " ").split(";") if part.strip())

#!/usr/bin/env python3
"""Makes a small catalog of a real one, for tests: the newest backup of an instance and its chain, with some of their files.
usage: reduce.py BACKUPS ORACLE INSTANCE OUT   BACKUPS holds backups/ and wal/; ORACLE holds INSTANCE/ID.sha256
What is kept is kept to the byte, but for the lists, which lose lines, and backup.control, whose content-crc follows them and
whose primary_conninfo goes. OUT/expected/ID.sha256 are the lines of what pg_probackup restores, for the files that are kept."""
import os, re, shutil, sys

SMALL = 70_000         # no larger file is kept,
TOTAL = 450_000        # nor more of all backups together
ALWAYS = {'PG_VERSION', 'backup_label', 'database_map', 'global/pg_control', 'global/pg_filenode.map'}
HIDDEN = {'database_map'}
UNTOLD = {'tablespace_map'}  # names places of the machine it was made on


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def value(line, key):
    found = re.search(r'"%s":"([^"]*)"' % key, line)
    return found.group(1) if found else None


def control_value(text, key):
    found = re.search(r"^%s = '?([^'\n]*)" % re.escape(key), text, re.M)
    return found.group(1) if found else None


class Backup:
    def __init__(self, directory):
        self.directory, self.id = directory, os.path.basename(directory)
        self.control = open(directory + '/backup.control').read()
        self.lines = open(directory + '/backup_content.control').read().splitlines()
        self.parent = control_value(self.control, 'parent-backup-id')
        self.entries = {(value(l, 'path'), value(l, 'external_dir_num')): l for l in self.lines}


def chain_of(instance):
    backups = {b: Backup(instance + '/' + b) for b in sorted(os.listdir(instance)) if os.path.isdir(instance + '/' + b)}
    chain = [backups[max(b for b in backups if control_value(backups[b].control, 'status') == 'OK')]]
    while chain[-1].parent:
        chain.append(backups[chain[-1].parent])
    return chain


def choose(chain):
    """Files whose bytes lie in several backups first: those are what a chain is about."""
    chosen, total = set(), 0
    candidates = []
    for key, line in chain[0].entries.items():
        if int(value(line, 'mode')) & 0o170000 == 0o040000 or key[0].startswith('pg_wal/') or key[0] in UNTOLD:
            continue
        sizes = [int(value(b.entries[key], 'size')) for b in chain if key in b.entries]
        stored = [s for s in sizes if s > 0]
        if max(stored, default=0) > SMALL:
            continue
        first = 0 if key[0] in ALWAYS or key[1] != '0' else 1
        candidates.append((first, -len(stored), value(line, 'is_datafile') != '1', sum(stored), key))
    for _, _, _, size, key in sorted(candidates):
        if total + size > TOTAL or len(chosen) > 60:
            continue
        chosen.add(key)
        total += size
    return chosen


def write_backup(backup, chosen, out):
    os.makedirs(out + '/database')
    kept = []
    for line in backup.lines:
        key = (value(line, 'path'), value(line, 'external_dir_num'))
        is_directory = int(value(line, 'mode')) & 0o170000 == 0o040000
        if not is_directory and key not in chosen:
            continue
        kept.append(line)
        if is_directory or int(value(line, 'size')) <= 0:
            continue
        place = 'database/' if key[1] == '0' else 'external_directories/externaldir%s/' % key[1]
        os.makedirs(os.path.dirname(out + '/' + place + key[0]), exist_ok=True)
        shutil.copyfile(backup.directory + '/' + place + key[0], out + '/' + place + key[0])
    text = '\n'.join(kept) + '\n'
    open(out + '/backup_content.control', 'w').write(text)
    shutil.copyfile(backup.directory + '/page_header_map', out + '/page_header_map')
    control = re.sub(r'^primary_conninfo.*\n', '', backup.control, flags=re.M)
    control = re.sub(r"^(external-dirs = ').*/([^/]*')$", r'\1/srv/\2', control, flags=re.M)
    control = re.sub(r'^content-crc = .*$', 'content-crc = %d' % crc32c(text.encode()), control, flags=re.M)
    open(out + '/backup.control', 'w').write(control)


def write_expected(oracle, backup, chosen, out):
    os.makedirs(out, exist_ok=True)
    paths = {p for p, external in chosen if external == '0'} - HIDDEN - {'postgresql.auto.conf'}
    with open(f'{out}/{backup.id}.sha256', 'w') as lines:
        for line in open(f'{oracle}/{backup.id}.sha256'):
            digest, size, mode, path = line.rstrip('\n').split(None, 3)
            if path in paths:
                lines.write(f'{digest} {size} {path}\n')


def main():
    backups, oracle, instance, out = sys.argv[1:]
    chain = chain_of(f'{backups}/backups/{instance}')
    chosen = choose(chain)
    os.makedirs(f'{out}/catalog/wal/{instance}', exist_ok=True)
    open(f'{out}/catalog/wal/{instance}/.keep', 'w').close()
    for backup in chain:
        write_backup(backup, chosen, f'{out}/catalog/backups/{instance}/{backup.id}')
        write_expected(f'{oracle}/{instance}', backup, chosen, out + '/expected')


main()
